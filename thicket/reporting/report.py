"""Stage *report*: what the experiment found, as a page, as Markdown and as JSON."""

import json
from dataclasses import replace
from pathlib import Path

from thicket.config.report_files import BUDGET_FILE, TEMPERATURES_FILE, report_files
from thicket.config.stages import ReportStage
from thicket.reporting.compare import compare
from thicket.reporting.figures import budget_picture, temperatures_picture
from thicket.reporting.findings import findings
from thicket.reporting.inputs import read_inputs
from thicket.reporting.jsonfile import to_json
from thicket.reporting.markdown import markdown
from thicket.reporting.outdated import outdated
from thicket.reporting.page import page


def build_report(stage: ReportStage, root: Path, out: Path) -> None:
    """Writes the files of `report_files` from what a run left.

    Equal inputs give equal bytes.

    Raises: ValueError, with the files, where one is missing or broken, or where two models were not scored on the same
    items in the same way.
    """
    inputs = read_inputs(stage, root)
    results = replace(compare(stage, inputs), outdated=outdated(inputs, root))
    (out / "index.html").write_text(page(results, stage.claims), encoding="utf-8")
    (out / "results.md").write_text(markdown(results), encoding="utf-8")
    for name, draw in ((BUDGET_FILE, budget_picture), (TEMPERATURES_FILE, temperatures_picture)):
        if name in report_files(stage):
            draw(results, out / name)
    text = json.dumps(to_json(results, findings(results)), indent=1, ensure_ascii=False)
    (out / "results.json").write_text(text + "\n", encoding="utf-8")
