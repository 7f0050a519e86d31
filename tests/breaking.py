"""Trainings that are broken off in the middle of a step, and what of a run the seed fixes."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from thicket.sampling.board import Board
from thicket.signals import Interrupted
from thicket.stages.run import in_pipeline, run_stage
from thicket.training.loop import Steps


class Killed(BaseException):
    """Stands for SIGKILL: nothing of the program handles it."""


def kill() -> None:
    raise Killed


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


@dataclass(frozen=True)
class End:
    """A way in which a process ends before its work is done."""

    come: Callable[[], None]
    raised: type[BaseException]
    """What comes of it."""


either_way = pytest.mark.parametrize(
    "end", [End(kill, Killed), End(terminate, Interrupted)], ids=["SIGKILL", "SIGTERM"]
)


def break_step(monkeypatch: pytest.MonkeyPatch, at: int, end: End) -> None:
    """The next training ends in the middle of step `at`."""
    whole = Steps.one_step

    def one_step(self: Steps) -> None:
        if self.step == at:
            end.come()
        whole(self)

    monkeypatch.setattr(Steps, "one_step", one_step)


@contextmanager
def counted(at: int | None = None) -> Iterator[list[int]]:
    """The slots of each step of the decode loop, before step `at` of which the run is killed."""
    steps, step = list[int](), Board.step

    def counting(self: Board, reach: int) -> None:
        if len(steps) == at:
            raise Killed
        steps.append(len(self.step_S))
        step(self, reach)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Board, "step", counting)
        yield steps


def make(root: Path, stage: Any) -> dict[str, Tensor]:
    """Runs a stage and returns its weights."""
    targets = in_pipeline(root, stage)
    run_stage(root, stage, targets)
    return load_file(targets.artifact / "model.safetensors")


def counts(ledger: Path) -> dict[str, Any]:
    """The figures of a ledger that the seed fixes."""
    fixed = ("tokens_generated", "tokens_trained", "flops", "steps", "selection_pass@1")
    return {name: json.loads(ledger.read_text(encoding="utf-8"))[name] for name in fixed}


Break = Callable[[pytest.MonkeyPatch, End], None]
"""Makes the next run end before its time."""


def check_resumed(root: Path, stage: Any, monkeypatch: pytest.MonkeyPatch, break_off: Break, end: End) -> None:
    """A run that is broken off leaves what was there before, and goes on to what an unbroken one makes."""
    unbroken, targets = make(root, stage), in_pipeline(root, stage)
    spent, curves = counts(targets.metrics), targets.curves.read_text()
    with monkeypatch.context() as patched:
        break_off(patched, end)
        with pytest.raises(end.raised):
            run_stage(root, stage, targets)
    assert (targets.artifact / "model.safetensors").is_file(), "what was there before is still there"
    resumed = make(root, stage)
    assert resumed.keys() == unbroken.keys()
    assert all(resumed[key].equal(unbroken[key]) for key in unbroken)
    assert targets.curves.read_text() == curves
    assert counts(targets.metrics) == spent
    assert not list((root / "build/resume").glob(f"{stage.stage}-{stage.name}-*/*"))


def assert_close(found: dict[str, Tensor], expected: dict[str, Tensor], atol: float) -> None:
    """Weights of the same names, so near to each other; the message says which are not."""
    assert found.keys() == expected.keys()
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], rtol=0, atol=atol, msg=lambda m, n=name: f"{n}: {m}")
