"""Why a stage would run: what it tells of a config, and of code, that are others than when DVC last ran it."""

from pathlib import Path
from typing import Any

import pytest

from thicket.config.project import Project
from thicket.plan.pipeline import Planned, pipeline
from thicket.plan.reasons import changed_values
from thicket.plan.recorded import Locked

GONE = "thicket.domains.verifiers.choice"
NEW = "thicket.domains.verifiers.exact"


@pytest.fixture
def stage(sample: Path) -> Planned:
    return next(one for one in pipeline(Project(sample)) if one.resolved.id == "student-opd")


def told(stage: Planned, before: dict[str, Any]) -> list[str]:
    return list(map(str, changed_values(stage, Locked("", {stage.config.as_posix(): before}, {}, {}))))


def test_nothing_is_changed(stage: Planned) -> None:
    assert told(stage, stage.resolved.stage.model_dump(mode="json")) == []


def test_modules_that_come_and_go_with_a_config_are_not_told(stage: Planned) -> None:
    """Of another experiment's stage of this name: nobody has changed the code."""
    before = stage.resolved.stage.model_dump(mode="json")
    del before["code"][NEW]
    before["code"][GONE] = "0"
    assert told(stage, before) == [
        "code: thicket/domains/verifiers/choice.py is gone",
        "code: thicket/domains/verifiers/exact.py is new",
    ]
    before["seed"] = 3
    assert told(stage, before) == ["config: seed 3 → 0"]
    before["code"]["thicket.methods.opd"] = "0"
    assert told(stage, before) == ["config: seed 3 → 0", "code: thicket/methods/opd.py"]


def test_a_part_that_is_another_is_one_difference(stage: Planned) -> None:
    before = stage.resolved.stage.model_dump(mode="json")
    before["method"] = {"type": "soup", "weights": "given"}
    before["teachers"] = [{**before["teachers"][0], "weight": 0.5}]
    before["domains"][0]["name"] = "odd"
    before["trainer"]["precision"] = None
    assert told(stage, before) == [
        "config: teachers[0].weight 0.5 → 1.0",
        "config: teachers[1] — → reverse-grpo",
        "config: domains[0] odd → sort",
        "config: method soup → opd",
        "config: trainer.precision — → 32-true",
    ]


def test_all_of_it_where_nothing_is_known(stage: Planned) -> None:
    assert "config: name — → opd" in told(stage, {})
