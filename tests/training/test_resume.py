"""A run that was killed and goes on ends with the very weights of an unbroken one."""

from pathlib import Path
from typing import Any

import pytest
from breaking import End, break_step, check_resumed, either_way, make
from toys import changed, stages

from thicket.config.distillation import Gap
from thicket.config.on_policy import Lora

STAGES = {
    "pretraining": ("base-tiny", {}),
    "grpo": ("specialist-sort-grpo", {}),
    "grpo, two updates, KL, best": (
        "specialist-sort-grpo",
        {"method.updates": 2, "method.kl": 0.1, "method.publish": "best"},
    ),
    "dapo, several rounds": ("specialist-sort-dapo", {"method.updates": 2, "method.weighting.type": "high_kl"}),
    "ppo, the most diverging tokens": ("specialist-sort-ppo", {"method.passes": 2, "method.top.share": 0.4}),
    "adapters": ("specialist-sort-grpo", {"method.lora": Lora(rank=2, alpha=4.0)}),
    "opd": ("student-opd", {}),
    "opd, two updates": ("student-opd", {"method.updates": 2}),
    "opd, weights by gap, half of it by teachers": ("student-opd", {"method.gap": Gap(), "method.on_policy": 0.5}),
}


@pytest.mark.parametrize(("name", "changes"), STAGES.values(), ids=STAGES)
@either_way
def test_resumed_equals_unbroken(
    project: Path, monkeypatch: pytest.MonkeyPatch, name: str, changes: dict[str, Any], end: End
) -> None:
    stage = stages(project)[name]
    for path, value in changes.items():
        stage = changed(stage, path, value)
    check_resumed(project, stage, monkeypatch, lambda patched, end: break_step(patched, 3, end), end)


def test_equal_seeds_give_equal_weights_and_others_do_not(project: Path) -> None:
    stage = stages(project)["specialist-sort-grpo"]
    first, again = make(project, stage), make(project, stage)
    other = make(project, changed(stage, "seed", 1))
    assert all(first[key].equal(again[key]) for key in first)
    assert not all(first[key].equal(other[key]) for key in first)


def test_the_resume_folder_goes_when_the_artifact_is_there(project: Path) -> None:
    make(project, stages(project)["specialist-sort-grpo"])
    assert not [path for path in (project / "build/resume").rglob("*") if path.suffix == ".ckpt"]
