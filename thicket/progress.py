"""Progress of long work: a live line on a terminal, a plain line now and then in a log."""

import sys
import time
from collections.abc import Callable
from typing import Any, Protocol

import lightning.pytorch as pl
from rich.console import Console
from rich.live import Live
from rich.text import Text

EVERY_SECONDS = 5.0
"""Between two plain lines in a log."""


class Shown(Protocol):
    """Work that can say how far it is."""

    @property
    def share_done(self) -> float:
        """Between 0 and 1."""
        ...

    def figures(self) -> str:
        """Where it stands, and the figures that matter."""
        ...


class Teller:
    """The same for work outside a trainer: call it with the share that is done and the figure that matters."""

    def __init__(self, title: str, clock: Callable[[], float] = time.monotonic):
        self.title, self.clock = title, clock
        self.started = self.said = clock()
        self.live: Live | None = None

    def __enter__(self) -> "Teller":
        console = Console(file=sys.stdout)
        if console.is_terminal:
            self.live = Live(Text(self.title), console=console, refresh_per_second=4)
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.live:
            self.live.stop()
            self.live = None

    def __call__(self, share: float, figure: str) -> None:
        elapsed = self.clock() - self.started
        left = f"{elapsed / share * max(0.0, 1 - share):.0f} s left" if share > 0 else ""
        line = f"{self.title}  {min(1.0, share):4.0%}  {figure}  {left}"
        if self.live:
            self.live.update(Text(line))
        elif self.clock() - self.said >= EVERY_SECONDS:
            self.said = self.clock()
            print(line, flush=True)


class Progress(pl.Callback):
    """What runs, how far it is, the figures that matter, how long is left. The module is `Shown`."""

    def __init__(self, title: str, clock: Callable[[], float] = time.monotonic):
        self.title, self.clock = title, clock
        self.live: Live | None = None
        self.started = self.said = 0.0
        self.share_at_start = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        if pl_module.share_done:
            print(f"{self.title}: goes on from {pl_module.figures()}", flush=True)
        self._start(pl_module)

    def on_predict_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self._start(pl_module)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self._show(pl_module)

    def on_predict_batch_end(
        self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        self._show(pl_module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self._stop()

    def on_predict_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self._stop()

    def on_exception(self, trainer: pl.Trainer, pl_module: Any, exception: BaseException) -> None:
        self._stop()

    def _start(self, module: Shown) -> None:
        self.started, self.share_at_start = self.clock(), module.share_done
        console = Console(file=sys.stdout)
        if console.is_terminal:
            self.live = Live(Text(self.title), console=console, refresh_per_second=4)
            self.live.start()

    def _show(self, module: Shown) -> None:
        if self.live:
            self.live.update(Text(self.line(module)))
        elif self.clock() - self.said >= EVERY_SECONDS or module.share_done >= 1:
            self.said = self.clock()
            print(self.line(module), flush=True)

    def _stop(self) -> None:
        if self.live:
            self.live.stop()
            self.live = None

    def line(self, module: Shown) -> str:
        """The line for now."""
        elapsed, gained = self.clock() - self.started, module.share_done - self.share_at_start
        left = f"{elapsed / gained * max(0.0, 1 - module.share_done):.0f} s left" if gained > 0 else ""
        return f"{self.title}  {min(1.0, module.share_done):4.0%}  {module.figures()}  {left}"
