"""What a model is, in words that tell it from the others."""

from pathlib import Path
from typing import Any

import pytest
from commands import Command
from toys import DECLARED, toy_project

GRPO = {"base": "tiny", "domain": "sort", "method": "grpo"}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three of a kind on one base, which one value tells apart though more differ, and one on another base."""
    specialists: dict[str, Any] = {
        "plain": GRPO,
        "short": {**GRPO, "set": {"method.steps": 5}},
        "slow": {**GRPO, "seed": 7, "set": {"method.steps": 9}},
        "elsewhere": {**GRPO, "base": "other"},
    }
    bases = {"tiny": {"base": "tiny"}, "other": {"base": "tiny", "seed": 3}}
    declared = {**DECLARED, "bases": bases, "specialists": specialists, "students": {}}
    root = toy_project(tmp_path / "project", declared)
    monkeypatch.chdir(root)
    return root


def test_the_tree_names_what_differs(project: Path, command: Command) -> None:
    lines = [line.partition("· ")[2] for line in command("status").out.splitlines()]
    for name, steps in {"plain": 6, "short": 5, "slow": 9}.items():
        assert f"{name}  grpo on sort, method.steps {steps}  scores ·" in lines
    assert "elsewhere  grpo on sort  scores ·" in lines, "the tree has its base above it"
    assert {"tiny  pretrain, seed 0  scores ·", "other  pretrain, seed 3  scores ·"} <= set(lines)


def test_where_the_base_is_not_seen_it_is_said(project: Path, command: Command) -> None:
    assert command("show", "elsewhere").out.startswith(
        "elsewhere: specialist, grpo on sort, method.steps 6, base other\n"
    )
