"""The frame of every training stage: steps counted by the module, checkpoints to resume from, progress, a clean stop.

A module's own step counter decides what a step does (its prompts, its draws, its learning rate), so that a resumed run
does what an unbroken one does, whatever Lightning's loops think of epochs. An epoch is `checkpoint_every` steps.
"""

import math
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch.utils.data import DataLoader
from transformers import PreTrainedModel

from thicket.config.run import Trainer
from thicket.disk import replaced
from thicket.engine import Progress, ctrl_c_passes, make_trainer
from thicket.models.size import active_parameters
from thicket.signals import Interrupted, sigterm_noted
from thicket.training.checkpoint import CHECKPOINT, Streamed, usable
from thicket.training.curves import Row
from thicket.training.ledger import Ledger

SHOWN = ("loss", "reward", "kl", "entropy", "length", "useful", "selection")
"""Columns of the curves that the progress line shows, each with its latest value."""
RECENT = 20
"""Rows in which a value counts as the latest."""


class Steps(pl.LightningModule):
    """A training in steps that can be broken off between any two and resumed with the same result."""

    def __init__(self, model: PreTrainedModel):
        super().__init__()
        self.automatic_optimization = False
        self.model = model.train()
        self.step = 0
        self.rows: list[Row] = []
        self.ledger = Ledger(parameters=active_parameters(model))
        self.phases: dict[str, float] = {}
        """Seconds that each phase of the steps took."""
        self._seconds_before, self._started = 0.0, time.monotonic()

    @property
    def seconds(self) -> float:
        """Time spent on the training, over all the runs that it took."""
        return self._seconds_before + time.monotonic() - self._started

    @property
    def share_done(self) -> float:
        """Between 0 and 1."""
        raise NotImplementedError

    def figures(self) -> str:
        """The step, and the latest figures."""
        latest: Row = {}
        for row in self.rows[-RECENT:]:
            latest |= row
        return "  ".join([f"step {self.step}", *(f"{name} {latest[name]:.3g}" for name in SHOWN if name in latest)])

    def take_step(self) -> Row:
        """Does step `self.step` and returns its row of the curves."""
        raise NotImplementedError

    def on_fit_start(self) -> None:
        self.trainer.should_stop = self.share_done >= 1

    def training_step(self, batch: Any, batch_index: int) -> None:
        if self.share_done >= 1:
            return
        row = self.take_step()
        self.check_finite(**{name: row[name] for name in SHOWN if name in row})
        self.rows.append(row)
        self.step += 1
        self.trainer.should_stop = self.share_done >= 1

    def update(self, learning_rate: float, clip: float) -> float:
        """One optimizer step with the gradients that are there, whose norm is clipped for each group of parameters.

        Returns that norm as it was, of all groups together.
        """
        optimizer: Any = self.optimizers()
        norms = []
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * group["scale"]
            norms.append(torch.nn.utils.clip_grad_norm_(group["params"], clip))
        norm = float(torch.stack(norms).norm())
        self.check_finite(gradient_norm=norm)  # Before it is in the weights, and in every checkpoint from here on.
        optimizer.step()
        optimizer.zero_grad()
        return norm

    def check_finite(self, **figures: float) -> None:
        """Raises: ValueError where a figure of this step is no number to train on."""
        for name, value in figures.items():
            if not math.isfinite(value):
                raise ValueError(
                    f"step {self.step + 1}: {name} is {value}: the training has broken down, and nothing of it is "
                    f"published. A lower optimizer.lr, a longer warmup, or float32 (trainer.precision) may help; "
                    "the last checkpoint is of before this step"
                )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["thicket"] = {"step": self.step, "rows": self.rows, "ledger": self.ledger.counts()}
        checkpoint["thicket"] |= {"seconds": self.seconds, "phases": self.phases}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        saved = checkpoint["thicket"]
        self.step, self.rows, self.ledger = saved["step"], saved["rows"], Ledger(**saved["ledger"])
        self._seconds_before, self.phases = saved["seconds"], saved["phases"]


class Checkpoints(pl.Callback):
    """Writes the resume checkpoint at the end of each epoch, and when SIGTERM asks to stop."""

    def __init__(self, folder: Path):
        self.folder = folder

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        trainer.strategy.checkpoint_io = Streamed()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._save(trainer)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        # Lightning raises this between two steps. A KeyboardInterrupt comes at any place within one.
        if isinstance(exception, SIGTERMException):
            self._save(trainer)

    def _save(self, trainer: pl.Trainer) -> None:
        with replaced(self.folder / CHECKPOINT) as partial:
            trainer.save_checkpoint(partial, weights_only=False)


class _Forever:
    """Placeholders for steps: the module knows what to do in each."""

    def __init__(self, count: int):
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> int:
        if index >= self.count:
            raise IndexError(index)
        return index


def fit(module: Steps, config: Trainer, resume: Path, progress: Progress) -> None:
    """Trains to the end, from the resume folder's checkpoint where there is one.

    Raises: Interrupted where SIGTERM came first (the step that was on its way is finished); KeyboardInterrupt.
    """
    resume.mkdir(parents=True, exist_ok=True)
    checkpoint = usable(resume / CHECKPOINT, progress.tell.title)
    trainer = make_trainer(config, -1, [Checkpoints(resume), progress])
    loader = DataLoader(_Forever(config.checkpoint_every), batch_size=None)  # type: ignore[arg-type]
    with sigterm_noted():
        with ctrl_c_passes(), suppress(SIGTERMException):
            trainer.fit(module, loader, ckpt_path=checkpoint)
        if module.share_done < 1:
            raise Interrupted


def chunks(total: int, size: int) -> Iterator[slice]:
    """Slices of at most `size` that cover 0 … total."""
    for start in range(0, total, size):
        yield slice(start, min(start + size, total))
