"""How a sweep on Ray stops: both sides, with a stand-in for the launcher."""

import errno
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from thicket.plan import ray_jobs
from thicket.signals import TERMINATED, Interrupted, sigterm_noted

WORD = "stop"


@pytest.fixture
def launcher(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The launcher's module, whose start of Ray takes SIGTERM for itself, as Ray's does."""
    package, core = ModuleType(ray_jobs.PACKAGE), ModuleType(f"{ray_jobs.PACKAGE}._core")
    core.start_ray = lambda config: signal.signal(signal.SIGTERM, lambda number, _: sys.exit(number))  # pyright: ignore[reportAttributeAccessIssue]
    package._core = core  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setitem(sys.modules, ray_jobs.PACKAGE, package)
    monkeypatch.setitem(sys.modules, core.__name__, core)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGALRM)}
    yield core
    assert {number: signal.getsignal(number) for number in before} == before


def sigterm() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def test_nothing_happens_where_nothing_comes(launcher: Any, tmp_path: Path) -> None:
    start = launcher.start_ray
    with ray_jobs.jobs_end_too(tmp_path):
        launcher.start_ray({})
    assert launcher.start_ray is start
    assert not (tmp_path / WORD).exists()


def ended(folder: Path, course: Callable[[], None]) -> Any:
    """The status that a sweep leaves with."""
    try:
        with ray_jobs.jobs_end_too(folder):
            course()
    except SystemExit as left:
        return left.code
    return 0


def test_it_waits_for_its_jobs(launcher: Any, tmp_path: Path) -> None:
    folder, went_on = tmp_path / "sweep", list[bool]()

    def course() -> None:
        launcher.start_ray({})
        sigterm()
        went_on.append((folder / WORD).exists())

    assert ended(folder, course) == TERMINATED
    assert went_on == [True]


def hurry(launcher: Any) -> None:
    launcher.start_ray({})
    sigterm()
    sigterm()


def next_batch(launcher: Any) -> None:
    launcher.start_ray({})
    sigterm()
    launcher.start_ray({})


def too_early(launcher: Any) -> None:
    sigterm()
    launcher.start_ray({})


def as_ray_starts(launcher: Any) -> None:
    sys.exit(signal.SIGTERM)


@pytest.mark.parametrize("course", [hurry, next_batch, too_early, as_ray_starts])
def test_it_ends_at_once(launcher: Any, tmp_path: Path, course: Callable[[Any], None]) -> None:
    went_on = list[bool]()

    def whole() -> None:
        course(launcher)
        went_on.append(True)

    assert ended(tmp_path, whole) == TERMINATED
    assert not went_on


def test_other_ends_stay(launcher: Any, tmp_path: Path) -> None:
    assert ended(tmp_path, lambda: sys.exit(1)) == 1


def test_a_job_returns_when_it_is_asked(tmp_path: Path) -> None:
    before, done = signal.getsignal(signal.SIGTERM), False
    with ray_jobs.stops_when_asked(tmp_path):
        (tmp_path / WORD).touch()
        time.sleep(30)
        done = True
    assert not done
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_job_that_begins_too_late_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that waited for a place begin when the word is there already: none of them may end its process."""
    monkeypatch.setattr(ray_jobs, "AGAIN", 0.02)
    before, done = signal.getsignal(signal.SIGTERM), False
    (tmp_path / WORD).touch()
    for _ in range(50):
        with ray_jobs.stops_when_asked(tmp_path):
            time.sleep(30)
            done = True
        assert not done
        assert signal.getsignal(signal.SIGTERM) == before


def test_a_job_that_ends_as_it_is_asked_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGTERM comes after the block, and before it is ignored."""
    set_to, before, came = signal.signal, signal.getsignal(signal.SIGTERM), list[object]()

    def late(number: int, handler: Any) -> Any:
        if handler is signal.SIG_IGN and not came:
            came.append(handler)
            (tmp_path / WORD).touch()
            sigterm()
        return set_to(number, handler)

    with ray_jobs.stops_when_asked(tmp_path):
        monkeypatch.setattr(ray_jobs.signal, "signal", late)
    assert came
    assert signal.getsignal(signal.SIGTERM) == before
    assert [one for one in threading.enumerate() if one.name.endswith("(look)")] == []


def test_a_folder_that_cannot_be_looked_at_asks_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / WORD).touch()
    assert ray_jobs.is_asked(tmp_path)

    def stale(*_: Any, **__: Any) -> None:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    with monkeypatch.context() as patched:
        patched.setattr(os, "stat", stale)
        assert not ray_jobs.is_asked(tmp_path)


def test_a_training_writes_its_checkpoint_first(tmp_path: Path) -> None:
    said = []
    with ray_jobs.stops_when_asked(tmp_path), sigterm_noted() as came:
        (tmp_path / WORD).touch()
        while not came():
            time.sleep(0.01)
        said.append("checkpoint")
        raise Interrupted
    assert said == ["checkpoint"]


@pytest.mark.parametrize("ending", [Interrupted, SystemExit(3)])
def test_who_was_not_asked_says_so(tmp_path: Path, ending: BaseException) -> None:
    with pytest.raises((Interrupted, SystemExit)), ray_jobs.stops_when_asked(tmp_path):
        raise ending
