"""A checkpoint to resume from is a pickle of torch's: whoever can put one there can't have it run anything."""

from pathlib import Path
from typing import Any

import pytest
import torch
from small_models import random_llama

from thicket.config.run import Trainer
from thicket.engine import Progress
from thicket.training.curves import Row
from thicket.training.loop import CHECKPOINT, Steps, fit


class Counting(Steps):
    """Three steps that do nothing."""

    @property
    def share_done(self) -> float:
        return self.step / 3

    def take_step(self) -> Row:
        return {"step": self.step}

    def configure_optimizers(self) -> Any:
        return torch.optim.AdamW(self.model.parameters())


class Runs:
    """A pickle that runs code where it is read."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ("the pickle was run",))


def trained(folder: Path) -> Counting:
    module = Counting(random_llama())
    fit(module, Trainer(accelerator="cpu", checkpoint_every=1), folder, Progress("counting"))
    return module


def test_a_checkpoint_of_ones_own_is_read(tmp_path: Path) -> None:
    assert trained(tmp_path).step == 3
    again = trained(tmp_path)
    assert again.rows == [{"step": 0}, {"step": 1}, {"step": 2}]


def test_a_checkpoint_that_runs_code_is_refused(tmp_path: Path) -> None:
    trained(tmp_path)
    held = torch.load(tmp_path / CHECKPOINT, weights_only=True)
    torch.save({**held, "thicket": {**held["thicket"], "rows": Runs()}}, tmp_path / CHECKPOINT)
    with pytest.raises(ValueError, match=rf"{CHECKPOINT}: holds more than tensors and plain values; delete"):
        trained(tmp_path)
