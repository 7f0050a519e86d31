"""Signals at a running pipeline: DVC records nothing unfinished, and the next run goes on to the same weights."""

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from lab import Lab, new_lab

STEPS = 400
"""So many that a signal arrives in the middle of the training."""
NAME = "sort-grpo"


def longer(declared: dict[str, Any]) -> None:
    declared["specialists"][NAME]["set"] = {"method.steps": STEPS, "method.select_every": 0}


def start_training(lab: Lab) -> subprocess.Popen[str]:
    """Starts `dvc repro` and returns when the specialist's training has written a checkpoint."""
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
    while not list((lab.root / "build/resume").glob(f"specialist-{NAME}-*/last.ckpt")):
        assert running.poll() is None, running.communicate()[0]
        assert time.monotonic() < deadline, "no checkpoint after two minutes"
        time.sleep(0.05)
    return running


def stage_processes(lab: Lab) -> list[int]:
    """Processes that run a stage of this project."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command, folder = (entry / "cmdline").read_bytes(), os.readlink(entry / "cwd")
            except OSError:
                continue
            if b"thicket" in command and b"run" in command and Path(folder) == lab.root:
                found.append(int(entry.name))
    return found


def wait_until_gone(lab: Lab) -> None:
    deadline = time.monotonic() + 60
    while stage_processes(lab):
        assert time.monotonic() < deadline, f"still running: {stage_processes(lab)}"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lab, bytes]:
    """The project before the longer training, and the weights that this makes when nobody disturbs it."""
    before = new_lab(tmp_path_factory.mktemp("longer") / "project")
    before.repro(f"specialist-{NAME}")
    before.edit(longer)
    whole = before.copy(tmp_path_factory.mktemp("unbroken") / "project")
    whole.repro(f"specialist-{NAME}")
    return before, (whole.root / "build/models" / NAME / "model.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("whom", "how"),
    [("group", signal.SIGINT), ("dvc", signal.SIGTERM), ("stage", signal.SIGTERM), ("dvc", signal.SIGKILL)],
    ids=["Ctrl-C", "SIGTERM to dvc", "SIGTERM to the stage", "SIGKILL to dvc"],
)
def test_a_stopped_training_is_not_recorded_and_goes_on(
    unbroken: tuple[Lab, bytes], tmp_path: Path, whom: str, how: signal.Signals
) -> None:
    lab = unbroken[0].copy(tmp_path / "project")
    lock = (lab.root / "dvc.lock").read_text()
    running = start_training(lab)
    if whom == "group":
        os.killpg(running.pid, how)
    else:
        os.kill(running.pid if whom == "dvc" else stage_processes(lab)[0], how)
    printed = running.communicate(timeout=60)[0]
    wait_until_gone(lab)

    assert running.returncode != 0, printed
    assert "Traceback" not in printed
    if how != signal.SIGKILL:
        assert "The next run goes on from the last checkpoint." in printed
    assert f"specialist-{NAME}" in lab.json("dvc", "status", "--json", f"specialist-{NAME}")
    assert _entry(lock) == _entry((lab.root / "dvc.lock").read_text())
    assert not (lab.root / "build/models" / NAME / "model.safetensors").is_file(), (
        "an unfinished artifact was published"
    )
    assert (lab.root / "build/models/tiny/model.safetensors").is_file()

    again = lab.call("dvc", "repro", f"specialist-{NAME}")
    assert "goes on from step" in again
    assert (lab.root / "build/models" / NAME / "model.safetensors").read_bytes() == unbroken[1]


def _entry(lock: str) -> str:
    """The specialist's lines of dvc.lock."""
    return lock.split(f"  specialist-{NAME}:")[1].split("\n  specialist-")[0].split("\n  student-")[0]


def test_two_runs_of_one_stage_do_not_meet(unbroken: tuple[Lab, bytes], tmp_path: Path) -> None:
    lab = unbroken[0].copy(tmp_path / "project")
    running = start_training(lab)
    printed = lab.call("thicket", "run", f"build/config/models/{NAME}.yaml", status=1)
    assert "is being made by another process" in printed
    running.terminate()
    running.communicate(timeout=60)
    wait_until_gone(lab)
