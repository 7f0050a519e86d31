"""Progress of long work: a live line on a terminal, a plain one now and then in a log, a record for other processes."""

import sys
import time
from collections.abc import Callable
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.text import Text

from thicket import standing

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
    """What runs, how far it is, the figure that matters, how long is left: call it with the share and the figure."""

    def __init__(self, title: str, clock: Callable[[], float] = time.monotonic):
        self.title, self.clock = title, clock
        self.live: Live | None = None
        self.started = self.said = 0.0
        self.share_at_start = 0.0

    def __enter__(self) -> "Teller":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, share: float = 0.0) -> None:
        """Work begins, with so much of it done."""
        self.started, self.share_at_start = self.clock(), share
        console = Console(file=standing.own_stream(sys.stdout))
        if console.is_terminal:
            self.live = Live(Text(self.title), console=console, refresh_per_second=4)
            self.live.start()
            sys.stdout, sys.stderr = standing.logged(sys.stdout), standing.logged(sys.stderr)

    def stop(self) -> None:
        if self.live:
            self.live.stop()
            self.live = None

    def __call__(self, share: float, figures: str) -> None:
        elapsed, gained = self.clock() - self.started, share - self.share_at_start
        seconds = elapsed / gained * max(0.0, 1 - share) if gained > 0 else None
        line = f"{self.title}  {min(1.0, share):4.0%}  {figures}  {'' if seconds is None else f'{seconds:.0f} s left'}"
        if run := standing.current():
            run.tells(self.title, share, figures, seconds)
        if self.live:
            self.live.update(Text(line))
        if self.clock() - self.said >= EVERY_SECONDS or share >= 1:
            self.said = self.clock()
            self._say(line)

    def _say(self, line: str) -> None:
        """A line for the log; on a terminal, which shows it live, only for that of the run."""
        if not self.live:
            print(line, flush=True)
        elif run := standing.current():
            run.says(f"{line}\n")
