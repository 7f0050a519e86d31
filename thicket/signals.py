"""How a run ends before its time."""

import ctypes
import signal
import sys

_PR_SET_PDEATHSIG = 1  # prctl(2)


class Interrupted(Exception):
    """SIGTERM ended a training before its last step; a checkpoint to resume from lies in the resume folder."""


def die_with_parent() -> None:
    """Asks Linux for SIGTERM when the parent process ends: a killed `dvc repro` leaves no stage running."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
