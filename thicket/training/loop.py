"""The frame of every training stage: steps counted by the module, checkpoints to resume from, progress, a clean stop.

A module's own step counter decides what a step does (its prompts, its draws, its learning rate), so that a resumed run
does what an unbroken one does, whatever Lightning's loops think of epochs. An epoch is `checkpoint_every` steps. Steps
whose work is done together are one step of Lightning's: around each of those it has all processes meet.
"""

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch.utils.data import DataLoader
from transformers import PreTrainedModel

from thicket import ranks
from thicket.config.run import Trainer
from thicket.disk import replaced
from thicket.engine import Progress, ctrl_c_passes, make_trainer
from thicket.models.size import active_parameters
from thicket.signals import Interrupted, sigterm_noted
from thicket.training.checkpoint import CHECKPOINT, Streamed, plain_data, usable
from thicket.training.curves import Row
from thicket.training.ledger import Ledger
from thicket.training.optimizer import clip_norm, take_gradients

SHOWN = {name: name for name in ("loss", "reward", "kl", "entropy", "length", "useful", "selection")}
"""Column of the curves that the progress line shows, with its latest value → what it says there."""
BY_REWARD = {**{name: name for name in SHOWN if name != "loss"}, "gradient_norm": "gradient"}
"""The same where rewards are learnt from: a policy gradient's loss is about 0 by construction, its gradient is not."""
RECENT = 20
"""Rows in which a value counts as the latest."""


class Steps(pl.LightningModule):
    """A training in steps that can be broken off between any two and resumed with the same result."""

    at_once = 1
    """Steps whose work is done together."""
    ahead = False
    """Whether the work of the next step is done already."""

    def __init__(self, model: PreTrainedModel):
        super().__init__()
        self.automatic_optimization = False
        self.model = model.train()
        self.step = 0
        self.rows: list[Row] = []
        self.ledger = Ledger(parameters=active_parameters(model))
        self.phases: dict[str, float] = {}
        """Seconds that each phase of the steps took."""
        self._seconds_before, self._tokens_before, self._started = 0.0, 0, time.monotonic()

    @property
    def seconds(self) -> float:
        """Time spent on the training, over all the runs that it took."""
        return self._seconds_before + time.monotonic() - self._started

    @property
    def tokens(self) -> int:
        """Tokens that were trained on; in a search, which trains on none, those that were written."""
        return self.ledger.tokens_trained or self.ledger.tokens_generated

    @property
    def speed(self) -> float:
        """Tokens a second, since this process began."""
        return (self.tokens - self._tokens_before) / (time.monotonic() - self._started)

    @property
    def share_done(self) -> float:
        """Between 0 and 1."""
        raise NotImplementedError

    def figures(self) -> str:
        """The step, the latest figures, and how fast it goes."""
        latest: Row = {}
        for row in self.rows[-RECENT:]:
            latest |= row
        told = BY_REWARD if "reward" in latest else SHOWN
        shown = [f"{said} {latest[name]:.3g}" for name, said in told.items() if name in latest]
        speed = [f"{self.speed:,.0f} tokens/s"] if self.speed else []
        return "  ".join([f"step {self.step}", *shown, *speed])

    def take_step(self) -> Row:
        """Does step `self.step` and returns its row of the curves."""
        raise NotImplementedError

    def on_fit_start(self) -> None:
        self.trainer.should_stop = self.share_done >= 1

    def training_step(self, batch: Any, batch_index: int) -> None:
        while self.share_done < 1:
            self.one_step()
            if not self.ahead:
                break
        self.trainer.should_stop = self.share_done >= 1

    def one_step(self) -> None:
        """Takes a step and keeps its row."""
        row = self.take_step()
        self.check_finite(**{name: row[name] for name in SHOWN if name in row})
        self.rows.append(row)
        self.step += 1

    def update(self, learning_rate: float, clip: float) -> float:
        """One optimizer step with the gradients that are there, of all processes together, whose norm is clipped for
        each group of parameters.

        Returns that norm as it was, of all groups together.
        """
        optimizer: Any = self.optimizers()
        take_gradients(optimizer.optimizer)
        norms = []
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * group["scale"]
            norms.append(clip_norm(group["params"], clip))
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
        self._seconds_before, self._tokens_before, self.phases = saved["seconds"], self.tokens, saved["phases"]


class Checkpoints(pl.Callback):
    """Writes the resume checkpoint at the end of each epoch, and when SIGTERM asks to stop."""

    def __init__(self, folder: Path, saved: Callable[[], None]):
        """`saved` is called after each."""
        self.folder, self.saved = folder, saved

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        trainer.strategy.checkpoint_io = Streamed()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._save(trainer)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        # Lightning raises this between two steps. A KeyboardInterrupt comes at any place within one.
        if isinstance(exception, SIGTERMException):
            self._save(trainer)

    def _save(self, trainer: pl.Trainer) -> None:
        """Each process has its part in it; the first one writes."""
        if not ranks.first():
            trainer.save_checkpoint(self.folder / CHECKPOINT, weights_only=False)
        else:
            with replaced(self.folder / CHECKPOINT) as partial:
                trainer.save_checkpoint(partial, weights_only=False)
        self.saved()


class StopTogether(pl.Callback):
    """Where there are several processes, SIGTERM on one of them stops all after the same step.

    It takes the place of Lightning's handler, which would have the processes talk to each other in the midst of what
    they say anyway.
    """

    def __init__(self) -> None:
        self.came = threading.Event()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if ranks.count() > 1:
            signal.signal(signal.SIGTERM, lambda *_: self.came.set())

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if ranks.any_of(self.came.is_set()) and pl_module.share_done < 1:
            raise SIGTERMException


class _Forever:
    """Placeholders for steps: the module knows what to do in each, and how many of them it does at once."""

    def __init__(self, module: Steps, every: int):
        self.module, self.every = module, every

    def __len__(self) -> int:
        return max(1, self.every // self.module.at_once)

    def __getitem__(self, index: int) -> int:
        if index >= len(self):
            raise IndexError(index)
        return index


def fit(
    module: Steps, config: Trainer, resume: Path, progress: Progress, saved: Callable[[], None] = lambda: None
) -> None:
    """Trains to the end, from the resume folder's checkpoint where there is one; `saved` is called after each.

    Raises: Interrupted where SIGTERM came first (the step that was on its way is finished); KeyboardInterrupt.
    """
    resume.mkdir(parents=True, exist_ok=True)
    checkpoint = ranks.told(usable(resume / CHECKPOINT, progress.tell.title) if ranks.first() else None)
    trainer = make_trainer(config, -1, [Checkpoints(resume, saved), progress, StopTogether()])
    loader = DataLoader(_Forever(module, config.checkpoint_every), batch_size=None)  # type: ignore[arg-type]
    with sigterm_noted():
        with ctrl_c_passes(), suppress(SIGTERMException), plain_data(checkpoint):
            # Tensors and plain values alone, so that nothing in the file can name code to run.
            trainer.fit(module, loader, ckpt_path=checkpoint, weights_only=True)
        if module.share_done < 1:
            raise Interrupted


def chunks(total: int, size: int) -> Iterator[slice]:
    """Slices of at most `size` that cover 0 … total."""
    for start in range(0, total, size):
        yield slice(start, min(start + size, total))
