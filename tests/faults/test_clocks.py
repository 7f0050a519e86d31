"""Clocks of the day that jump while something runs, by hours and both ways: nothing is measured by them."""

import datetime
import hashlib
import itertools
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from boxes import BOX, needs_box
from breaking import End, break_step, terminate
from commands import Run
from safetensors.torch import load_file
from toys import DECLARED, declare, stages

from thicket.config.yamlfile import to_yaml
from thicket.domains.pool import run_isolated
from thicket.domains.sandbox.run import run_program
from thicket.plan import recorded
from thicket.plan.recorded import HASHED_BYTES, LONGEST_SECONDS, Entry, locked_since, read_lock, wrong_with
from thicket.plan.state import State
from thicket.signals import Interrupted
from thicket.stages.run import in_pipeline
from thicket.standing import Record, read_record
from thicket.times import read_times

HOUR = 3600.0
Jumps = Callable[[float], None]
"""From here on the clock jumps by so many hours at every look."""


@pytest.fixture
def jumps(monkeypatch: pytest.MonkeyPatch) -> Jumps:
    now, looks = time.time(), itertools.count(1)

    def begin(hours: float) -> None:
        def jumped() -> float:
            return now + hours * HOUR * next(looks)

        class Jumping(datetime.datetime):
            @classmethod
            def now(cls, tz: Any = None) -> "Jumping":
                return cls.fromtimestamp(jumped(), tz)

        monkeypatch.setattr(time, "time", jumped)
        for module in ("stages.run", "standing"):
            monkeypatch.setattr(f"thicket.{module}.datetime", Jumping)

    return begin


def durations(root: Path, stage: Any) -> dict[str, Any]:
    """What is recorded of a stage's time; all of it is that of a toy."""
    targets = in_pipeline(root, stage)
    times = read_times(targets.times, targets.artifact)
    assert 0 < times["wall_seconds"] < 60
    assert all(0 <= seconds < 60 for seconds in times["phase_seconds"].values())
    return times


@pytest.mark.parametrize("hours", [-1, 5])
def test_a_stage_makes_what_it_makes(project: Path, jumps: Jumps, said: Run, hours: float) -> None:
    stage = stages(project)["specialist-sort-grpo"]
    weights = in_pipeline(project, stage).artifact / "model.safetensors"
    before = load_file(weights)
    jumps(hours)
    done = said(project, stage)
    assert done.status == 0
    left = re.findall(r"(\S+) s left", done.out)
    assert left
    assert all(0 <= int(seconds) < 60 for seconds in left)
    after = load_file(weights)
    assert all(after[key].equal(before[key]) for key in before)
    times = durations(project, stage)
    assert (times["started"] < times["finished"]) == (hours > 0), "the clock did jump"
    record = read_record(project / "build/logs", "specialist-sort-grpo")
    assert record is not None
    assert (record.status, record.share) == ("done", 1)
    declare(project, {**DECLARED, "students": {"soup": {**DECLARED["students"]["opd"], "method": "soup"}}})
    merging = stages(project)["student-soup"]
    assert said(project, merging).status == 0
    durations(project, merging)


def test_a_run_that_was_stopped_goes_on(
    project: Path, jumps: Jumps, said: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = stages(project)["specialist-sort-grpo"]
    weights = in_pipeline(project, stage).artifact / "model.safetensors"
    before = load_file(weights)
    jumps(5)
    with monkeypatch.context() as patched:
        break_step(patched, 3, End(terminate, Interrupted))
        assert said(project, stage).status == 143
    again = said(project, stage)
    assert "goes on from step 4" in again.out
    after = load_file(weights)
    assert all(after[key].equal(before[key]) for key in before)
    durations(project, stage)


def test_calls_and_programs_have_their_time(jumps: Jumps) -> None:
    jumps(5)
    (call,) = run_isolated("timeit:timeit", [{"stmt": "pass", "number": 1}], seconds=20.0)
    assert call.reason == ""


@needs_box
def test_programs_have_their_time(jumps: Jumps) -> None:
    jumps(5)
    assert run_program("import time; time.sleep(0.3)", BOX).passed


def lock_from_the_future(root: Path) -> Entry:
    """dvc.lock as a clock left it that was ahead, and a large artifact of the right size that was changed since."""
    made = b"a" * (HASHED_BYTES + 1)
    (root / "made").write_bytes(b"b" * len(made))
    entry = {"path": "made", "md5": hashlib.md5(made).hexdigest(), "size": len(made)}
    lock, later = root / "dvc.lock", time.time() + 5 * HOUR
    lock.write_text(to_yaml({"stages": {"one": {"cmd": "make", "outs": [entry]}}}), encoding="utf-8")
    os.utime(lock, (later, later))
    return read_lock(root)["one"].outs["made"]


def test_a_lock_from_the_future(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not waited for, and it hides nothing."""
    waited = list[float]()
    monkeypatch.setattr(recorded.time, "sleep", waited.append)
    entry = lock_from_the_future(tmp_path)
    assert sum(waited) < LONGEST_SECONDS
    assert wrong_with(tmp_path, entry, locked_since(tmp_path)) == "changed"


@pytest.mark.parametrize(("ahead", "left"), [(-5 * HOUR, 0.0), (5 * HOUR, 100.0)])
def test_the_time_that_is_left_of_a_record(ahead: float, left: float) -> None:
    """No less than none, and no more than the record says."""
    record = Record("a", 1, "running", 0.0, time.time() + ahead, seconds_left=100.0)
    planned: Any = None
    assert State(planned, "running", (), (), record, None).seconds_left == left
