"""How far a run over many stages is: a live table on a terminal, plain lines in a log."""

import os
import time
from pathlib import Path
from typing import TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from thicket.plan.dag import Schedule

REFRESH = 0.25
"""Seconds between two pictures on a terminal."""
SELDOM = 30.0
"""Between two in a log, which tells beginnings and ends besides."""
TAIL = 2048
"""Bytes at a log's end in which its last line is looked for."""
BAR = 40
"""Columns."""


class View:
    """What runs, since when, and the last line that it wrote; what has ended stands above."""

    def __init__(self, out: TextIO):
        self.out, self.console = out, Console(file=out)
        terminal = self.console.is_terminal
        self.began = time.monotonic()
        self.shown = 0.0 if terminal else self.began
        self.live = _picture_on(self.console) if terminal else None

    def __enter__(self) -> "View":
        if self.live:
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.live:
            self.live.stop()

    def tell(self, text: str) -> None:
        """A line that stays."""
        line = f"{time.monotonic() - self.began:8.1f}  {text}"
        if self.live:
            self.console.print(escape(line), highlight=False, soft_wrap=True)
        else:
            print(line, file=self.out, flush=True)

    def note(self, text: str) -> None:
        """A line for a log: a terminal shows what runs."""
        if not self.live:
            self.tell(text)

    def flush(self) -> None:
        """So that a fork has nothing to write twice."""
        self.out.flush()

    def show(self, running: list[tuple[str, float, Path]], schedule: Schedule) -> None:
        """The picture of a moment: each running stage with its seconds and its log."""
        now = time.monotonic()
        if now < self.shown + (REFRESH if self.live else SELDOM):
            return
        self.shown = now
        if self.live:
            self.live.update(self._picture(running, schedule), refresh=True)
        else:
            for name, seconds, log in running:
                self.tell(f"{name}  {seconds:.0f} s  {last_line(log)}".rstrip())

    def _picture(self, running: list[tuple[str, float, Path]], schedule: Schedule) -> Group:
        total, done = len(schedule.dag), len(schedule.done)
        failed = f", {len(schedule.failed)} failed" if schedule.failed else ""
        head = Table.grid(padding=(0, 2))
        head.add_row(ProgressBar(total, done, width=BAR), f"{done} of {total} stages{failed}")
        rows = Table.grid(padding=(0, 2))
        for name, seconds, log in running:
            rows.add_row(name, Text(f"{seconds:.0f} s"), Text(last_line(log), overflow="ellipsis", no_wrap=True))
        return Group(head, rows)


def _picture_on(console: Console) -> Live:
    """What forks print, as DVC's JSON, goes where they say: with rich in between, the picture would come along."""
    return Live(console=console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False)


def last_line(log: Path) -> str:
    """The last line of a log, without what moves a cursor."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL))
            lines = file.read().decode(errors="replace").replace("\r", "\n").strip().splitlines()
    except FileNotFoundError:
        return ""
    return lines[-1] if lines else ""
