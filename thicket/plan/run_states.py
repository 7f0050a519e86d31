"""How far a run is that thicket started by itself, or how it ended."""

import time
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from typing import Literal

from thicket.plan.console import MINUTES
from thicket.plan.locks import held, is_locked
from thicket.stages.run import checkpoints, lock_of
from thicket.standing import Record, log_of, read_record

Mark = Literal["done", "running", "failed", "stopped", "gone", "waiting"]
WORDS: dict[Mark, str] = {"stopped": "broke off", "waiting": "not begun"}
"""A state's own words, where its name is not enough."""
CAUSE_WIDTH = 100
"""The most characters of an error that is over."""
LONG = 300.0
"""Seconds without a word of how far a run is after which that is said: few steps take so long."""
UNTOLD = "runs"
"""What is said of a run that does not say yet how far it is."""


@dataclass(frozen=True)
class RunState:
    """How far a run is that thicket started by itself, or how it ended."""

    mark: Mark
    record: Record | None = None
    log: Path | None = None
    """Relative to the project."""
    resumes: bool = False
    """Whether there is a checkpoint that it would go on from."""


def run_state(root: Path, artifact: str, elsewhere: bool = False) -> RunState:
    """Of the run that makes an artifact in build/runs.

    `elsewhere`: it may run on a machine whose locks don't show here; then its own word counts.
    """
    path = root / artifact
    stage = f"{path.name}-{path.parent.name.rpartition('-')[0]}"
    record, log = read_record(path.parent, stage), log_of(path.parent, stage)
    known = record, log.relative_to(root) if log.is_file() else None
    if path.is_dir():
        return RunState("done", *known)
    if is_locked(lock_of(root, path, stage), held()) or (elsewhere and record and record.status == "running"):
        return RunState("running", *known)
    if record and record.status in ("done", "failed"):
        return RunState("gone" if record.status == "done" else "failed", *known)
    return RunState("stopped", *known, resumes=checkpoints(root, path) is not None)


def state_words(state: RunState, error: str = "", figures: bool = True) -> str:
    """A state for people. `error`: why it failed; else its record says so. `figures`: with those of its last step."""
    record, mark = state.record, state.mark
    if mark == "running":
        return progress_words(record, figures)
    if mark == "failed":
        return failed_words(record, error)
    if mark == "stopped":
        return f"{stopped_words(record)}{'' if state.resumes else ', and begins anew: no checkpoint is there'}"
    if mark == "gone":
        return "gone: what it had made is not there"
    return WORDS.get(mark, mark)


def failed_words(record: Record | None, error: str = "") -> str:
    """Why a run failed, in a line."""
    message = (error or (record.message if record else "") or "see its log").splitlines()[0]
    at = record.own_place if record and not error else ""
    return f"failed: {message}{f' ({at})' if at and at not in message else ''}"


def stopped_words(record: Record | None) -> str:
    """Where a run broke off."""
    return f"{WORDS['stopped']}{f' at {record.share:.0%}' if record and record.share is not None else ''}"


def ended_words(record: Record) -> str:
    """How a run ended that did not come to its end, in a few words."""
    if record.status != "failed":
        return stopped_words(record)
    cause = shorten((record.cause or record.message).partition("\n")[0], CAUSE_WIDTH, placeholder=" …")
    return f"failed ({cause})" if cause else "failed"


def progress_words(record: Record | None, figures: bool = True) -> str:
    """How far a run is that is on its way, with the figures of its last step or without."""
    if record is None or record.status != "running":
        return UNTOLD
    silent = time.time() - record.updated
    silence = f"  no progress for {silent / 60:.0f} min" if silent > LONG else ""
    if record.share is None:
        return UNTOLD + silence
    left = None if silence else record.left
    time_left = "" if left is None else f"  {left:.0f} s left" if left < MINUTES else f"  {left / 60:.0f} min left"
    return f"{record.share:.0%}{f'  {record.figures}' if figures else ''}{time_left}{silence}"


def making_words(record: Record | None) -> str:
    """That something is being made that is not there yet, and how far it is."""
    told = progress_words(record)
    return f"being made{told.removeprefix(UNTOLD)}" if told.startswith(UNTOLD) else f"being made: {told}"
