"""Stage *report*: what the experiment found, as a page, as Markdown and as JSON."""

import json
from pathlib import Path

from thicket.config.stages import ReportStage
from thicket.reporting.compare import compare
from thicket.reporting.findings import findings
from thicket.reporting.inputs import read_inputs
from thicket.reporting.jsonfile import to_json
from thicket.reporting.markdown import markdown
from thicket.reporting.page import page


def build_report(stage: ReportStage, root: Path, out: Path) -> None:
    """Writes index.html, results.md and results.json from what a run left in a project; equal inputs give equal bytes.

    Raises: ValueError, with the files, where one is missing or broken, or where two models were not scored on the same
    items in the same way.
    """
    results = compare(stage, read_inputs(stage, root))
    (out / "index.html").write_text(page(results, stage.claims), encoding="utf-8")
    (out / "results.md").write_text(markdown(results), encoding="utf-8")
    text = json.dumps(to_json(results, findings(results)), indent=1, ensure_ascii=False)
    (out / "results.json").write_text(text + "\n", encoding="utf-8")
