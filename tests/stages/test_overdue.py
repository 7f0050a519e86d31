"""A step that never ends is ended some time after SIGTERM; one that is only slow is not."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from thicket.signals import TERMINATED

STAGE = """
import sys, time
from pathlib import Path
from thicket.signals import Interrupted, sigterm_noted
from thicket.stages import overdue
from thicket.stages.launch import guarded
from thicket.standing import current, followed

overdue.SILENCE, overdue.AGAIN = 1.0, 0.1
resume = Path("resume")
resume.mkdir()

def loop():
    while True:
        pass

def slow():
    time.sleep(4)

def writes():
    for part in range(20):
        (resume / "checkpoint").write_text("x" * part)
        time.sleep(0.2)

def tells():
    for part in range(20):
        current().tells("a search", part / 20, "", None)
        time.sleep(0.2)

def stage():
    with followed(Path("logs"), "stub"), overdue.ended_when_overdue(resume), sigterm_noted() as came:
        current().tells("before", 0.1, "", None)
        if sys.argv[1] == "slow":
            time.sleep(4)  # as long as its steps are
            current().tells("before", 0.2, "", None)
        print("begun", flush=True)
        globals()[sys.argv[1]]()
        if came():
            raise Interrupted

sys.exit(guarded(stage))
"""


def stopped(root: Path, kind: str) -> tuple[str, float, str]:
    """What a stage that is at a step of a kind says when it is stopped, the seconds it took to, its log."""
    command = [sys.executable, "-c", STAGE, kind]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGTERM)
        asked = time.monotonic()
        said = process.communicate(timeout=60)[1]
    assert process.returncode == TERMINATED
    assert json.loads((root / "logs/stub.json").read_text())["status"] == "stopped"
    return said, time.monotonic() - asked, (root / "logs/stub.log").read_text()


def test_a_step_that_loops_is_ended(tmp_path: Path) -> None:
    said, seconds, log = stopped(tmp_path, "loop")
    assert "the step that was on its way has not ended, and nothing came of it in 1 s; it is at <string>:" in said
    assert said in log
    assert seconds < 10


@pytest.mark.parametrize("kind", ["slow", "writes", "tells"])
def test_a_step_that_ends_by_itself_is_waited_for(kind: str, tmp_path: Path) -> None:
    """It takes as long as others have, writes what is kept, or tells how far it is."""
    said, seconds, log = stopped(tmp_path, kind)
    assert said == "Stopped by SIGTERM. The next run goes on from the last checkpoint.\n"
    assert "Stopped. The next run goes on" in log
    assert seconds > 3
