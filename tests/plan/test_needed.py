"""`thicket status MODEL`: what a model needs, and nothing else."""

import json
from pathlib import Path

import pytest
from commands import Command

from thicket.config.project import Project
from thicket.plan.dag import behind, read_dag
from thicket.plan.needed import needed
from thicket.plan.pipeline import pipeline

OPD = ["data-sort", "data-reverse", "base-tiny", "specialist-sort-grpo", "specialist-reverse-grpo", "student-opd"]


@pytest.mark.parametrize("name", ["opd", "student-opd"])
def test_a_model_or_a_stage(sample: Path, command: Command, name: str) -> None:
    command("plan")
    found = json.loads(command("status", name, "--json").out)
    assert [one["stage"] for one in found["stages"]] == OPD
    assert found["counts"] == {"missing": len(OPD)}
    lines = command("status", name).out.splitlines()
    assert lines[0] == f"toy, for {name}: 6 stages: 6 missing"
    assert [line.split()[-3] for line in lines if "·" in line and " on " in line] == ["grpo", "grpo"]
    assert not [line for line in lines if "scores" in line or "soup" in line]


def test_several(sample: Path, command: Command) -> None:
    command("plan")
    lines = command("status", "sort-grpo", "evaluate-reverse-grpo").out.splitlines()
    assert lines[0] == "toy, for sort-grpo, evaluate-reverse-grpo: 6 stages: 6 missing"
    assert [line.partition("· ")[2] for line in lines if " on " in line] == [
        "sort-grpo  grpo on sort",
        "reverse-grpo  grpo on reverse  scores ·",
    ]


def test_it_is_what_dvc_would_build(sample: Path, command: Command) -> None:
    command("plan")
    stages, dag = pipeline(Project(sample), with_code=False), read_dag(sample)
    for name in dag:
        assert {one.resolved.id for one in needed(stages, [name])} == {*behind(dag, [name])}
    assert needed(stages, []) == stages


def test_an_unknown_name(sample: Path, command: Command) -> None:
    said = command("status", "opt")
    assert (said.status, said.out) == (2, "")
    assert said.err.startswith("command line: stage or model = 'opt': there is no such stage or model\n")
    assert said.err.endswith("    did you mean: opd\n")
