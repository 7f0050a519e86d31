"""A toy project whose base, data and specialists are made once, and what a stage's command says."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from commands import Run, Said
from toys import run, toy_project

from thicket.stages.launch import run_one
from thicket.stages.run import in_pipeline


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = toy_project(tmp_path_factory.mktemp("toy") / "project")
    run(root, "data-sort", "data-reverse", "base-tiny", "specialist-sort-grpo", "specialist-reverse-grpo")
    return root


@pytest.fixture
def project(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy that a test may change, which is the working folder too."""
    root = Path(shutil.copytree(made, tmp_path / "project"))
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a stage as the command line does: its status, and what it prints."""

    def call(root: Path, stage: Any) -> Said:
        capsys.readouterr()
        status = run_one(root, stage, in_pipeline(root, stage))
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return Said(status, captured.out, captured.err)

    return call
