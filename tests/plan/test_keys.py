"""`thicket STAGE --help` names every key that the stage takes, and no other."""

import re
from pathlib import Path

import pytest
from commands import Command

from thicket.cli import STAGES
from thicket.config.project import Project
from thicket.plan.adhoc import CHOICES, KEYS, OTHERS, SHARED
from thicket.plan.keys import EXAMPLES, FIGURES, SWEPT
from thicket.plan.objective import SELECTION, objectives
from thicket.plan.pipeline import resolve


@pytest.mark.parametrize("stage", STAGES)
def test_help_names_the_keys(stage: str, command: Command) -> None:
    said = command(stage, "--help")
    assert (said.status, said.err) == (0, "")
    named = re.findall(r"^  (\w[\w.]*)  +[A-Z]\w* ", said.out.partition("\nkeys ")[2], re.MULTILINE)
    taken = [*(KEYS[stage] + ("name",) if stage in KEYS else OTHERS[stage]), *SHARED.get(stage, ())]
    assert named == [*taken, *(["GROUP.KEY"] if taken else [])]
    assert all(group in said.out.partition("Groups: ")[2] for group in CHOICES.get(stage, ()))
    assert "None" not in said.out
    assert max(map(len, said.out.splitlines())) <= 110


@pytest.mark.parametrize("examples", [EXAMPLES, SWEPT])
@pytest.mark.parametrize("stage", ["specialist", "student", "base", "data", "evaluate"])
def test_every_key_of_an_example_is_one(stage: str, examples: dict[str, str]) -> None:
    own = [*(KEYS[stage] if stage in KEYS else OTHERS[stage])]
    groups = [*CHOICES.get(stage, ()), *SHARED.get(stage, ())]
    for word in examples[stage].split():
        key = word.partition("=")[0]
        assert key in own or key.partition(".")[0] in groups, word


def test_figures_of_a_sweep(sample: Path, command: Command) -> None:
    """Those that the help names are those that a sweep can be compared by."""
    for made in resolve(Project(sample), with_code=False):
        named = FIGURES.get(made.kind, "").partition(", another")[0].split(", ")
        assert made.kind not in FIGURES or set(named) - {SELECTION} <= set(objectives(made.stage))
    assert "objective" not in command("data", "--help").out
