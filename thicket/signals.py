"""How a run ends before its time."""

import ctypes
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from psutil import Process

GRACE = 60.0
"""Seconds that processes have to write their checkpoints once they are to stop."""
AGAIN = 1.0
"""Seconds between two requests to stop: one that comes before a process listens is lost."""
TERMINATED = 128 + signal.SIGTERM
_PR_SET_PDEATHSIG = 1  # prctl(2)


class Interrupted(Exception):
    """SIGTERM ended a training before its last step; a checkpoint to resume from lies in the resume folder."""


def is_stop(error: BaseException) -> bool:
    """Whether a run was asked to stop: by Ctrl-C, or by SIGTERM, in a training or in what comes before it."""
    return isinstance(error, Interrupted | KeyboardInterrupt) or (
        isinstance(error, SystemExit) and error.code == TERMINATED
    )


UNDER_DVC = "DVC_STAGE"
"""Environment variable that DVC gives to a stage's command."""


def die_with_parent() -> None:
    """Asks Linux for SIGTERM when the parent process ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def die_with_dvc() -> None:
    """The same for a stage's process: a killed `dvc repro` leaves none running, be it only just started."""
    die_with_parent()
    if dvc_is_gone():
        os.kill(os.getpid(), signal.SIGTERM)


def dvc_is_gone() -> bool:
    """Whether the DVC that started this process has ended: it said in its lock file who writes."""
    if UNDER_DVC not in os.environ:
        return False
    try:
        held = json.loads(Path(os.environ["DVC_ROOT"], ".dvc", "tmp", "rwlock").read_text(encoding="utf-8"))
        writing = {one["pid"] for one in held["write"].values()}
    except (OSError, KeyError, TypeError, ValueError, AttributeError):  # nothing is known, or it is being written
        return False
    return bool(writing) and os.getppid() not in writing


@contextmanager
def sigterm_noted() -> Iterator[Callable[[], bool]]:
    """SIGTERM is noted and ends nothing; what this gives says whether it has come.

    It stays so where the work under it raises Interrupted: who stops a run may send several (to its group, as a parent
    that dies, once more out of impatience), and none of them may cut short what the run says and returns at its end.
    """
    came = threading.Event()
    if threading.current_thread() is not threading.main_thread():  # only there may signals be handled
        yield came.is_set
        return
    before, stays = signal.signal(signal.SIGTERM, lambda *_: came.set()), False
    try:
        yield came.is_set
    except Interrupted:
        stays = True
        raise
    finally:
        if not stays:
            signal.signal(signal.SIGTERM, before)


def exit_at_sigterm() -> None:
    """The first SIGTERM raises SystemExit, so that what is open is closed; the next ones do nothing."""

    def leave(*_: object) -> NoReturn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise SystemExit(TERMINATED)

    signal.signal(signal.SIGTERM, leave)


@contextmanager
def children_end_too() -> Iterator[None]:
    """Where SIGTERM or Ctrl-C ends the block, the processes below this one are asked to stop, and are waited for.

    At another SIGTERM, or after a while, they are killed.
    """
    before = signal.getsignal(signal.SIGTERM)
    exit_at_sigterm()
    try:
        yield
    except (SystemExit, KeyboardInterrupt) as ending:
        if is_stop(ending):
            _end_children()
            raise
        signal.signal(signal.SIGTERM, before)
        raise
    else:
        signal.signal(signal.SIGTERM, before)


def _end_children() -> None:
    import psutil

    this, hurry = psutil.Process(), threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: hurry.set())
    below, until = _listening(this), time.monotonic() + GRACE
    while below and not hurry.is_set() and time.monotonic() < until:
        for one in this.children():  # What those have started is theirs to end: a step that is to be finished needs it.
            with suppress(psutil.NoSuchProcess):
                one.terminate()
        _, alive = psutil.wait_procs(below, AGAIN)
        below = {*alive, *_listening(this)}
    for one in below:
        with suppress(psutil.NoSuchProcess):
            one.kill()
    psutil.wait_procs(below, AGAIN)


def _listening(process: "Process") -> set["Process"]:
    """Processes below one, without those that ignore SIGTERM: they end when those do that they work for."""
    return {one for one in process.children(recursive=True) if not _ignores_sigterm(one.pid)}


def _ignores_sigterm(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return False
    ignored = int(status.partition("SigIgn:")[2].split()[0], 16)
    return bool(ignored >> (signal.SIGTERM - 1) & 1)
