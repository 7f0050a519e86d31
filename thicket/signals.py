"""How a run ends before its time."""

import ctypes
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_PR_SET_PDEATHSIG = 1  # prctl(2)


class Interrupted(Exception):
    """SIGTERM ended a training before its last step; a checkpoint to resume from lies in the resume folder."""


def die_with_parent() -> None:
    """Asks Linux for SIGTERM when the parent process ends: a killed `dvc repro` leaves no stage running."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


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
