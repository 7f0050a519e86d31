"""How far a stage is and how it ended, for other processes to see: a record and a log of its last run.

`build/logs/STAGE.json` says what runs, its share and figure, and the time that is left; `STAGE.log` holds the lines
that the run has printed. Both are untracked, and nothing that a stage makes depends on them.
"""

import io
import json
import os
import re
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Literal, TextIO

from thicket.disk import write_whole
from thicket.signals import is_stop

Status = Literal["running", "done", "failed", "stopped"]
EVERY_SECONDS = 1.0
"""Between two records of progress."""
CONTROL = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\r")
"""What steers a terminal, and says nothing in a log."""


@dataclass(frozen=True)
class Record:
    """What a stage's last run says of itself."""

    stage: str
    pid: int
    status: Status
    started: float
    """Seconds since 1970, as all times here."""
    updated: float
    title: str = ""
    """Which part of its work the stage is at."""
    share: float | None = None
    """Of that part, from 0 to 1."""
    figures: str = ""
    seconds_left: float | None = None
    """Of that part, when this was written."""
    message: str = ""
    """Why it failed."""
    cause: str = ""
    """The error that this goes back to, with paths that are relative to the project."""
    at: str = ""
    """`FILE:LINE` that raised it."""
    ran: dict[str, str] = field(default_factory=dict)
    """Part of what it ran, `config` or `code` → its hash."""

    @property
    def fault(self) -> str:
        """Why it failed, and where in the code; empty where unknown."""
        return f"{self.cause} ({self.at})" if self.at else ""

    @property
    def own_place(self) -> str:
        """Where in the project's own code it failed, a plug-in's; empty of an error in thicket or other packages."""
        return "" if self.at.startswith(("/", "thicket/")) else self.at

    @property
    def mistake(self) -> str:
        """Equal for stages that one mistake stopped; empty where unknown. A line of the project's own is one, whatever
        of an item its message holds."""
        return self.own_place or self.fault

    @property
    def left(self) -> float | None:
        """Seconds that are left of that part now: not more than were, whatever the clock has done since."""
        if self.seconds_left is None or self.status != "running":
            return None
        return max(0.0, self.seconds_left - max(0.0, time.time() - self.updated))


class Standing:
    """A run that others can follow."""

    def __init__(self, folder: Path, stage: str, ran: dict[str, str] | None = None):
        self.folder, self.stage = folder, stage
        now = time.time()
        self.record = Record(stage, os.getpid(), "running", now, now, ran=ran or {})
        self.told, self.longest_silence = time.monotonic(), 0.0
        """When it told last, and the most seconds between two times."""
        self.log: IO[bytes] = io.BytesIO()
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            self.log = log_of(folder, stage).open("wb", buffering=0)
        self.says(f"# {stage}, {datetime.now():%Y-%m-%d %H:%M:%S}, process {os.getpid()}\n")
        self._write()

    def says(self, text: str) -> None:
        """Writes to the log. A full disk ends the stage where it loses work, not here."""
        with suppress(OSError, ValueError):
            self.log.write(CONTROL.sub("", text).encode(errors="replace"))

    def tells(self, title: str, share: float, figures: str, left: float | None) -> None:
        """Where the work is; more often than every second it isn't written."""
        now, moment = time.time(), time.monotonic()
        self.told, self.longest_silence = moment, max(self.longest_silence, moment - self.told)
        just_told = 0 <= now - self.record.updated < EVERY_SECONDS  # not so by a clock that was set back
        if not just_told or share >= 1 or self.record.title != title:
            told = {"title": title, "share": min(1.0, share), "figures": figures, "seconds_left": left}
            self.record = replace(self.record, updated=now, **told)
            self._write()

    def ends(self, status: Status, error: BaseException | None = None) -> None:
        told = {"message": _words(error), **_origin(error)} if error else {}
        self.record = replace(self.record, updated=time.time(), status=status, **told)
        self._write()
        self.log.close()

    def _write(self) -> None:
        with suppress(OSError):
            write_whole(record_of(self.folder, self.stage), json.dumps(asdict(self.record), indent=1) + "\n")


class Logged:
    """A stream whose text goes to a log too."""

    def __init__(self, own: TextIO, standing: Standing):
        self.own, self.standing = own, standing

    def write(self, text: str) -> int:
        self.standing.says(text)
        return self.own.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.own, name)


_followed: Standing | None = None


def current() -> Standing | None:
    """The run of this process that is followed."""
    return _followed


def own_stream(stream: TextIO) -> TextIO:
    """The stream itself, where its text is logged too: a live line there would fill the log."""
    return stream.own if isinstance(stream, Logged) else stream


def logged(stream: TextIO) -> TextIO:
    """A stream whose text also goes to the log of the run that is followed, where there is one."""
    return Logged(stream, _followed) if _followed and not isinstance(stream, Logged) else stream  # type: ignore[return-value]


@contextmanager
def followed(folder: Path | None, stage: str, ran: dict[str, str] | None = None) -> Iterator[None]:
    """Within the block a stage's run is followed: its lines are logged, its progress and its end are on record.

    `folder`: of records and logs; None: it isn't followed. `ran`: what it runs, as `Record.ran`.
    """
    global _followed
    if folder is None:
        yield
        return
    _followed = Standing(folder, stage, ran)
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = map(logged, before)
    try:
        yield
        _followed.ends("done")
    except BaseException as error:
        if is_stop(error):
            _followed.says("Stopped. The next run goes on from the last checkpoint.\n")
            _followed.ends("stopped")
            raise
        _followed.says(traceback.format_exc())
        _followed.ends("failed", error)
        raise
    finally:
        sys.stdout, sys.stderr = before
        _followed = None


def _words(error: BaseException) -> str:
    return f"{error}" if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"


def _origin(error: BaseException) -> dict[str, str]:
    """The error that another was raised over, and where: a record's `cause` and `at`."""
    while (over := error.__cause__) is not None and over.__traceback__:  # One of another process has none.
        error = over
    raised = traceback.extract_tb(error.__traceback__)[-1:]
    at, here = "".join(f"{one.filename}:{one.lineno}" for one in raised), f"{Path.cwd()}/"  # the project's folder
    return {"cause": _words(error).replace(here, ""), "at": at.replace(here, "")}


def record_of(folder: Path, stage: str) -> Path:
    return folder / f"{stage}.json"


def log_of(folder: Path, stage: str) -> Path:
    return folder / f"{stage}.log"


def read_record(folder: Path, stage: str) -> Record | None:
    """What a stage's last run says of itself; None where there was none."""
    try:
        return Record(**json.loads(record_of(folder, stage).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
