"""A project that is built once, and copies of it for tests that change something."""

from pathlib import Path
from typing import Any

import pytest
from lab import Lab, new_lab


@pytest.fixture(scope="session")
def fresh_lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """A project of which nothing is built."""
    return new_lab(tmp_path_factory.mktemp("fresh") / "project")


@pytest.fixture(scope="session")
def student_lab(fresh_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> tuple[Lab, set[str]]:
    """A fresh project after its first `dvc repro student-opd`, and the stages that this ran."""
    lab = fresh_lab.copy(tmp_path_factory.mktemp("student") / "project")
    ran = lab.repro("student-opd")
    return lab, ran


@pytest.fixture(scope="session")
def built_lab(student_lab: tuple[Lab, set[str]], tmp_path_factory: pytest.TempPathFactory) -> tuple[Lab, set[str]]:
    """The same project with everything built and committed, and the stages that were still to run."""
    lab = student_lab[0].copy(tmp_path_factory.mktemp("built") / "project")
    ran = lab.repro()
    lab.commit("built")
    return lab, ran


@pytest.fixture(scope="session")
def other_soup_lab(built_lab: tuple[Lab, set[str]], tmp_path_factory: pytest.TempPathFactory) -> tuple[Lab, set[str]]:
    """The built project after a teacher was taken from its soup, and the stages that ran for it; not committed."""
    lab = built_lab[0].copy(tmp_path_factory.mktemp("other_soup") / "project")

    def fewer(declared: dict[str, Any]) -> None:
        declared["students"]["soup"]["teachers"] = ["sort-grpo"]

    lab.edit(fewer)
    ran = lab.repro()
    return lab, ran


@pytest.fixture
def lab(built_lab: tuple[Lab, set[str]], tmp_path: Path) -> Lab:
    """A copy of the built project that a test may change."""
    return built_lab[0].copy(tmp_path / "project")
