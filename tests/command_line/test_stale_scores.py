"""Scores that the pipeline would make anew are told of where they are shown."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from commands import Command

from thicket.commands.stale_scores import stale_scores, stale_words
from thicket.config.project import Project
from thicket.config.yamlfile import to_yaml
from thicket.plan.pipeline import pipeline
from thicket.plan.state import Reason

SAMPLES = "config: evaluation.samples 99 → "


def record(root: Path, *names: str, samples: int) -> None:
    """Writes dvc.lock as if these evaluations had just run, with another number of samples."""
    locked: dict[str, Any] = {}
    for planned in pipeline(Project(root)):
        made = planned.resolved
        if made.id in names:
            config = made.stage.model_dump(mode="json")
            config["evaluation"]["samples"] = samples
            command = f"exec thicket run {planned.config.as_posix()}"
            locked[made.id] = {"cmd": command, "params": {planned.config.as_posix(): config}, "deps": [], "outs": []}
    (root / "dvc.lock").write_text(to_yaml({"schema": "2.0", "stages": locked}), encoding="utf-8")


def test_scores_by_other_settings_than_those_of_now(scored: Path, command: Command) -> None:
    record(scored, "evaluate-tiny", "evaluate-opd", samples=99)
    found = json.loads(command("compare", "tiny", "opd", "--json").out)
    assert {name: why[0].startswith(SAMPLES) for name, why in found["scores_stale"].items()} == {
        "tiny": True,
        "opd": True,
    }
    for arguments in (["compare", "tiny", "opd"], ["show", "opd"]):
        assert f"The scores of tiny, opd are not those of now ({SAMPLES}" in command(*arguments).out
    said = command("tables", "scores")
    assert f"The scores of tiny, opd are not those of now ({SAMPLES}" in said.err
    assert "`dvc repro evaluate-tiny evaluate-opd` makes them anew.\n" in said.err
    assert json.loads(command("show", "opd", "--json").out)["scores_stale"][0].startswith(SAMPLES)


def state(*why: Reason) -> Any:
    return SimpleNamespace(
        id="evaluate-a", planned=SimpleNamespace(resolved=SimpleNamespace(stage=SimpleNamespace(name="a"))), why=why
    )


@pytest.mark.parametrize(
    ("why", "told"),
    [
        ([], False),
        ([Reason("record", "dvc.lock knows nothing of it"), Reason("config", "seed", 0, 1)], False),
        ([Reason("input", "build/models/a was made anew")], False),
        ([Reason("parent", "student-a is stale")], False),
        ([Reason("parent", "data-sort is missing")], False),
        ([Reason("artifact", "build/evaluation/a/scores.csv is missing")], False),
        ([Reason("parent", "data-sort is stale")], True),
        ([Reason("input", "build/data/sort was made anew")], True),
        ([Reason("code", "thicket/domains/verdict.py")], True),
    ],
)
def test_what_is_told_of_scores_alone(why: list[Reason], told: bool) -> None:
    assert stale_scores([state(*why)], ["a"]) == ({"a": [str(why[0])]} if told else {})
    assert stale_scores([state(*why)], ["b"]) == {}


def test_reasons_are_said_once_for_all_models_that_have_them() -> None:
    stale = {
        "a": ["code: x.py", "input: y", "input: z"],
        "b": ["code: x.py", "input: y", "input: z"],
        "c": ["input: y"],
    }
    assert stale_words(stale) == [
        "The scores of a, b are not those of now (code: x.py, input: y, and 1 more): "
        "`dvc repro evaluate-a evaluate-b` makes them anew.",
        "The scores of c are not those of now (input: y): `dvc repro evaluate-c` makes them anew.",
    ]
