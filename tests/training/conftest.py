"""A toy project whose base and data are made once for all tests of training."""

import shutil
from pathlib import Path

import pytest
from toys import DECLARED, run, toy_project

MORE = {f"sort-{method}": {"base": "tiny", "domain": "sort", "method": method} for method in ("dapo", "ppo")}


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Base, data, and both specialists."""
    declared = {**DECLARED, "specialists": {**DECLARED["specialists"], **MORE}}
    root = toy_project(tmp_path_factory.mktemp("toy") / "project", declared)
    run(root, "data-sort", "data-reverse", "base-tiny", "specialist-sort-grpo", "specialist-reverse-grpo")
    return root


@pytest.fixture
def project(made: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(made, tmp_path / "project"))
