"""Stage *report*: what the experiment found, as a page, as Markdown and as JSON."""

import json
from pathlib import Path

from thicket.config.project import BUDGET_FILE
from thicket.config.stages import ReportStage
from thicket.reporting.compare import compare
from thicket.reporting.figures import budget_picture
from thicket.reporting.findings import findings
from thicket.reporting.inputs import read_inputs
from thicket.reporting.jsonfile import to_json
from thicket.reporting.markdown import markdown
from thicket.reporting.page import page


def build_report(stage: ReportStage, root: Path, out: Path) -> None:
    """Writes index.html, results.md, results.json and, where there are students, budget.png, from what a run left.

    Equal inputs give equal bytes.

    Raises: ValueError, with the files, where one is missing or broken, or where two models were not scored on the same
    items in the same way.
    """
    results = compare(stage, read_inputs(stage, root))
    (out / "index.html").write_text(page(results, stage.claims), encoding="utf-8")
    (out / "results.md").write_text(markdown(results), encoding="utf-8")
    if results.of_kind("student"):
        budget_picture(results, out / BUDGET_FILE)
    text = json.dumps(to_json(results, findings(results)), indent=1, ensure_ascii=False)
    (out / "results.json").write_text(text + "\n", encoding="utf-8")
