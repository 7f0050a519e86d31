"""The sample project with scores that a test chooses, and a toy project whose models are made."""

from pathlib import Path
from typing import Any

import pytest
from command_line_scores import CORRECT
from reporting_run import as_vote, base, specialist, student, write_run
from toys import DECLARED, VALUES, run, toy_project

from thicket.commands.models import declared


@pytest.fixture
def scored(sample: Path) -> Path:
    """The sample project, all models but `mixed` scored; `soup` answers by a vote."""
    specialists = [specialist(f"{domain}-grpo", "tiny", domain) for domain in ("sort", "reverse")]
    taught = [student(name, "tiny", ["sort-grpo", "reverse-grpo"], name) for name in ("opd", "soup")]
    configs = {name: resolved.stage.model_dump(mode="json") for name, resolved in declared(sample).items()}
    write_run(sample, [base("tiny"), *specialists, *taught], CORRECT, {}, configs)
    as_vote(sample, "soup", votes=4)
    return sample


TOY: dict[str, Any] = {
    **DECLARED,
    "specialists": {
        **DECLARED["specialists"],
        "sort-randopt": {"base": "tiny", "domain": "sort", "method": "randopt"},
    },
    "students": {"soup": {"base": "tiny", "method": "soup", "teachers": ["sort-grpo", "reverse-grpo"]}},
    "values": {**VALUES, "method": {**VALUES["method"], "randopt": {"perturbations": 4, "members": 2, "items": 4}}},
}


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A toy project in which a soup, what it is made of and a vote of perturbations are made, and the soup scored."""
    root = toy_project(tmp_path_factory.mktemp("made") / "project", TOY)
    run(root, "data-sort", "data-reverse", "base-tiny", "specialist-sort-grpo", "specialist-reverse-grpo")
    run(root, "student-soup", "specialist-sort-randopt", "evaluate-soup")
    return root
