"""Signals at a running pipeline: DVC records nothing unfinished, and the next run goes on to the same weights."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from lab import Lab, processes

STEPS = 400
"""So many that a signal arrives in the middle of the training."""
NAME = "sort-grpo"


def longer(declared: dict[str, Any]) -> None:
    declared["specialists"][NAME]["set"] = {"method.steps": STEPS, "method.select_every": 0}


def start_training(lab: Lab) -> subprocess.Popen[str]:
    """Starts `dvc repro` and returns when the specialist's training has written a checkpoint."""
    before = checkpoints(lab)
    command = ["dvc", "repro", f"specialist-{NAME}"]
    running = subprocess.Popen(
        command,
        cwd=lab.root,
        env=lab.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        # Where the tests themselves run in the background, a shell has them ignore SIGINT, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    deadline = time.monotonic() + 120
    while checkpoints(lab) <= before:
        assert running.poll() is None, running.communicate()[0]
        assert time.monotonic() < deadline, "no checkpoint after two minutes"
        time.sleep(0.05)
    return running


def checkpoints(lab: Lab) -> set[tuple[Path, int]]:
    """The specialist's checkpoint, with its time."""
    found = (lab.root / "build/resume").glob(f"specialist-{NAME}-*/last.ckpt")
    return {(path, path.stat().st_mtime_ns) for path in found}


def stage_process(lab: Lab) -> int:
    """The process that DVC started for a stage."""
    (found,) = processes(lab, b"thicket\0run")
    return found


def wait_until_gone(lab: Lab) -> None:
    """The stage's process, its fork, and what has the libraries loaded for it."""
    deadline = time.monotonic() + 60
    while processes(lab):
        assert time.monotonic() < deadline, f"still running: {processes(lab)}"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def unbroken(student_lab: tuple[Lab, set[str]], tmp_path_factory: pytest.TempPathFactory) -> tuple[Lab, bytes]:
    """The project before the longer training, and the weights that this makes when nobody disturbs it."""
    before = student_lab[0].copy(tmp_path_factory.mktemp("longer") / "project")
    before.edit(longer)
    whole = before.copy(tmp_path_factory.mktemp("unbroken") / "project")
    whole.repro(f"specialist-{NAME}")
    return before, (whole.root / "build/models" / NAME / "model.safetensors").read_bytes()


def until_it_ends(process: int, how: signal.Signals) -> None:
    """As an impatient user does, or a group and a parent that end together."""
    with suppress(ProcessLookupError):
        while True:
            os.kill(process, how)
            time.sleep(0.002)


STOPS: dict[str, Callable[[subprocess.Popen[str], Lab], None]] = {
    "Ctrl-C": lambda dvc, _: os.killpg(dvc.pid, signal.SIGINT),
    "SIGTERM to dvc": lambda dvc, _: dvc.terminate(),
    "SIGTERM to the stage, again and again": lambda _, lab: until_it_ends(stage_process(lab), signal.SIGTERM),
}
"""SIGKILL, and other moments: tests/faults/kills.py, of which CI runs a part."""


def test_a_training_that_is_stopped_again_and_again_is_not_recorded_and_goes_on(
    unbroken: tuple[Lab, bytes], tmp_path: Path
) -> None:
    lab = unbroken[0].copy(tmp_path / "project", loads_itself=True)
    lock = (lab.root / "dvc.lock").read_text()
    for case, stop in STOPS.items():
        running = start_training(lab)
        stop(running, lab)
        printed = running.communicate(timeout=60)[0]
        wait_until_gone(lab)

        assert running.returncode != 0, (case, printed)
        assert "Traceback" not in printed, case
        assert "The next run goes on from the last checkpoint." in printed, case
        assert _entry(lock) == _entry((lab.root / "dvc.lock").read_text()), case
        published = (lab.root / "build/models" / NAME / "model.safetensors").is_file()
        assert not published, f"{case}: an unfinished artifact was published"
        assert (lab.root / "build/models/tiny/model.safetensors").is_file()

    assert f"specialist-{NAME}" in lab.json("dvc", "status", "--json", f"specialist-{NAME}")
    again = lab.call("dvc", "repro", f"specialist-{NAME}")
    assert "goes on from step" in again
    assert (lab.root / "build/models" / NAME / "model.safetensors").read_bytes() == unbroken[1]


def _entry(lock: str) -> str:
    """The specialist's lines of dvc.lock."""
    return lock.split(f"  specialist-{NAME}:")[1].split("\n  specialist-")[0].split("\n  student-")[0]


def test_two_runs_of_one_stage_do_not_meet(unbroken: tuple[Lab, bytes], tmp_path: Path) -> None:
    lab = unbroken[0].copy(tmp_path / "project", loads_itself=True)
    running = start_training(lab)
    printed = lab.call("thicket", "run", f"build/config/models/{NAME}.yaml", status=1)
    assert f"Error: a repro is running, which is at specialist-{NAME}: wait for its end, or stop it" in printed
    printed = lab.call("dvc", "repro", f"specialist-{NAME}", status=255)
    assert "is busy, it is being blocked by" in printed
    running.terminate()
    running.communicate(timeout=60)
    wait_until_gone(lab)
