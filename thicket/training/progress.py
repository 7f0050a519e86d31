"""Progress of a training: a live line on a terminal, a plain line now and then in a log."""

import sys
import time
from typing import TYPE_CHECKING, Any

import lightning.pytorch as pl
from rich.console import Console
from rich.live import Live
from rich.text import Text

if TYPE_CHECKING:
    from thicket.training.loop import Steps

SHOWN = ("loss", "reward", "kl", "entropy", "length", "selection")


class Progress(pl.Callback):
    """What runs, how far it is, how long is left, and the figures that matter."""

    def __init__(self, title: str, every_seconds: float = 5.0):
        self.title, self.every = title, every_seconds
        self.live: Live | None = None
        self.started = self.said = 0.0
        self.share_at_start = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self.started, self.share_at_start = time.monotonic(), pl_module.share_done
        if pl_module.step:
            print(f"{self.title}: goes on from step {pl_module.step}", flush=True)
        console = Console(file=sys.stdout)
        if console.is_terminal:
            self.live = Live(Text(self.title), console=console, refresh_per_second=4)
            self.live.start()

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, *_: Any) -> None:
        if self.live:
            self.live.update(Text(self._line(pl_module)))
        elif time.monotonic() - self.said >= self.every or pl_module.share_done >= 1:
            self.said = time.monotonic()
            print(self._line(pl_module), flush=True)

    def on_train_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self._stop()

    def on_exception(self, trainer: pl.Trainer, pl_module: Any, exception: BaseException) -> None:
        self._stop()

    def _stop(self) -> None:
        if self.live:
            self.live.stop()
            self.live = None

    def _line(self, module: "Steps") -> str:
        elapsed, done = time.monotonic() - self.started, module.share_done
        gained = done - self.share_at_start
        left = f"{elapsed / gained * (1 - done):.0f} s left" if gained > 0 else ""
        last: dict[str, float] = {}
        for row in module.rows[-20:]:
            last |= row
        figures = "  ".join(f"{name} {last[name]:.3g}" for name in SHOWN if name in last)
        return f"{self.title}  {done:4.0%}  step {module.step}  {figures}  {left}"
