"""A made-up run in a test's own folder."""

from pathlib import Path

import pytest
from reporting_run import Correct, WriteRun, write_run

from thicket.config.stages import ReportedModel, ReportStage


@pytest.fixture
def run(tmp_path: Path) -> WriteRun:
    """`write_run` into the test's own folder."""

    def write(models: list[ReportedModel], correct: Correct, budget_of: dict[str, str] | None = None) -> ReportStage:
        return write_run(tmp_path, models, correct, budget_of or {})

    return write
