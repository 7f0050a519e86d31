"""What the progress line of a training says of its last steps, and its device."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from thicket.stages.machine import device
from thicket.training.loop import Steps


def told(*rows: dict[str, float]) -> str:
    training: Any = SimpleNamespace(rows=list(rows), step=len(rows), speed=1234.5)
    return Steps.figures(training)


def test_an_imitation_says_its_loss() -> None:
    rows = {"step": 1, "loss": 0.5, "gradient_norm": 3.0}, {"step": 2, "loss": 0.25, "selection": 0.75}
    assert told(*rows) == "step 2  loss 0.25  selection 0.75  1,234 tokens/s"


def test_where_rewards_are_learnt_from_the_loss_says_nothing() -> None:
    """It is 0 but for rounding: -1.02e-08."""
    row = {"step": 1, "loss": -1.02e-8, "gradient_norm": 1.45, "reward": 0.5, "entropy": 0.25, "length": 5.0}
    assert told(row) == "step 1  reward 0.5  entropy 0.25  length 5  gradient 1.45  1,234 tokens/s"


@pytest.mark.parametrize(("threads", "end"), [(1, ", 1 thread"), (2, ", 2 threads")])
def test_one_thread_is_one(threads: int, end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    assert device().endswith(end)
