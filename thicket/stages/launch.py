"""Runs a stage for the command line: a result, or a message for people and an exit status."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

from thicket.config.plugins import told
from thicket.config.problems import printable
from thicket.config.stages import AnyStage
from thicket.output import outlives_readers
from thicket.signals import TERMINATED, Interrupted
from thicket.stages.publish import Busy
from thicket.stages.run import Targets, run_file, run_stage

FAILED = 1
"""DVC takes any status but 0 for a stage that is not done."""
TRACEBACK = "THICKET_TRACEBACK"
"""Environment variable: set, an error comes with its traceback."""
OUT_OF_MEMORY = "OutOfMemoryError"
"""Torch's, by name: torch is loaded with the stage's code, if at all."""
ROOM = (
    "Less is needed with a smaller sampler.batch (responses that are written at once), method.micro_batch (rows of a "
    "pass) or method.together (members of a pass), and with fewer stages side by side."
)


@outlives_readers()
def run_config(root: Path, path: Path) -> int:
    """Runs the stage of a resolved config's file."""
    return guarded(lambda: run_file(root, path if path.is_absolute() else Path(path)))


@outlives_readers()
def run_one(root: Path, stage: AnyStage, targets: Targets) -> int:
    """Runs a stage to given places."""
    return guarded(lambda: run_stage(root, stage, targets))


def guarded(work: Callable[[], None]) -> int:
    """Does some work; says what went wrong, for people, and returns the status that the process ends with."""
    try:
        work()
    except Interrupted:
        print("Stopped by SIGTERM. The next run goes on from the last checkpoint.", file=sys.stderr)
        return TERMINATED
    except BrokenPipeError:  # Nobody reads what it prints.
        raise
    except Exception as error:
        text = in_words(error)
        if text is None or os.environ.get(TRACEBACK):
            raise
        print(f"Error: {printable(text)}", file=sys.stderr)
        return FAILED
    return 0


def in_words(error: Exception) -> str | None:
    """An error in a line for people; None for one of thicket's own mistakes, which its traceback tells best."""
    if type(error).__name__ == OUT_OF_MEMORY and isinstance(error, RuntimeError):
        return f"{_first_sentences(str(error))} {ROOM}"
    return told(error) or (str(error) if isinstance(error, ValueError | Busy | OSError) else None)


def _first_sentences(text: str) -> str:
    """Of torch's message: how much was asked for, and how much there is. Its advice is for those who write programs."""
    return ". ".join(text.split(". ")[:3]).removesuffix(".") + "."
