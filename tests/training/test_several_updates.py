"""Several updates on one rollout batch, through the stage: what the tokens were drawn with is that of its beginning."""

from pathlib import Path
from typing import Any

import pytest
from breaking import make
from torch import Tensor
from toys import changed, stages

from thicket.config.distillation import Reward, SampledToken
from thicket.methods import opd
from thicket.ops.policy_gradient import bounded_ratio

ESTIMATES: dict[str, dict[str, Any]] = {
    "sampled token": {"method.signal": SampledToken(type="sampled_token")},
    "reward": {"method.reward": Reward(weight=0.1), "method.group": 2},
}


@pytest.mark.parametrize("changes", ESTIMATES.values(), ids=ESTIMATES)
def test_the_ratio_grows_from_one_with_each_update(
    project: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    """By the largest |log r| of each update: with two of them on a batch, every second one is on drawn tokens of an
    older student. With one there is no ratio."""
    moved: list[float] = []

    def noted(log_ratio_N: Tensor, most: float | None) -> Tensor:
        moved.append(float(log_ratio_N.abs().max()))
        return bounded_ratio(log_ratio_N, most)

    monkeypatch.setattr(opd, "bounded_ratio", noted)
    stage = changed(changed(stages(project)["student-opd"], "method.steps", 2), "method.optimizer.lr", 1e-2)
    for path, value in changes.items():
        stage = changed(stage, path, value)
    once = make(project, stage)
    assert not moved
    twice = make(project, changed(stage, "method.updates", 2))
    assert len(moved) == 4
    assert max(moved[::2]) < 1e-5 < 1e-3 < min(moved[1::2])
    assert any(not once[key].equal(twice[key]) for key in once)
