"""A stage whose DVC is gone before it could ask to be told ends by itself."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

STAGE = "from thicket.signals import die_with_dvc; die_with_dvc(); print('works')"
NOBODY = 2**22 + 1
"""No process has this id: it is above the most that Linux gives."""


@pytest.mark.parametrize(
    ("writers", "works"), [([os.getpid()], True), ([NOBODY], False), ([NOBODY, os.getpid()], True), ([], True)]
)
def test_dvc_says_in_its_lock_who_it_is(writers: list[int], works: bool, tmp_path: Path) -> None:
    held = {"read": {}, "write": {f"build/{pid}": {"pid": pid, "cmd": "dvc repro"} for pid in writers}}
    assert started(tmp_path, json.dumps(held)) == works


@pytest.mark.parametrize("text", [None, "", '{"write": {"build": {"cmd": "dvc repro"}}}', "[]"])
def test_a_lock_that_says_nothing_ends_nothing(text: str | None, tmp_path: Path) -> None:
    assert started(tmp_path, text)


def test_a_stage_that_dvc_did_not_start(tmp_path: Path) -> None:
    held = {"write": {"build": {"pid": NOBODY, "cmd": "dvc repro"}}}
    assert started(tmp_path, json.dumps(held), under_dvc=False)


def started(root: Path, lock: str | None, under_dvc: bool = True) -> bool:
    """Whether a child of this process goes on; it is ended by SIGTERM otherwise."""
    folder = root / ".dvc" / "tmp"
    folder.mkdir(parents=True)
    if lock is not None:
        (folder / "rwlock").write_text(lock, encoding="utf-8")
    own = {"DVC_STAGE": "base-tiny", "DVC_ROOT": str(root)} if under_dvc else {}
    environment = {key: value for key, value in os.environ.items() if not key.startswith("DVC_")} | own
    done = subprocess.run([sys.executable, "-c", STAGE], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) in [(0, "works\n"), (-signal.SIGTERM, "")], done
    return done.returncode == 0
