"""Stages of one `dvc repro` fork from a process that has the libraries loaded, and run code that is read after that."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from lab import Lab, processes
from toys import ROOT

from thicket import warm
from thicket.signals import UNDER_DVC

pytestmark = pytest.mark.skipif(not warm.can_fork(), reason="stages don't fork here")
STAGE = ["thicket", "run", "build/config/evaluate/tiny.yaml"]
PROBE = """
import json, os, sys
mine = sorted(name for name in sys.modules if name.split(".")[0] == "thicket")
print("probe", json.dumps([os.getppid(), "torch" in sys.modules, mine]))
"""
"""Printed where a process loads the command line: its parent, whether torch is there, what of thicket is."""


@pytest.fixture(scope="module")
def probed(fresh_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    lab = fresh_lab.copy(tmp_path_factory.mktemp("warm") / "project", loads_itself=True)
    module = lab.root / "thicket/cli.py"
    module.write_text(PROBE + module.read_text(encoding="utf-8"), encoding="utf-8")
    return lab


@pytest.fixture(scope="module")
def built(probed: Lab) -> str:
    """What the making of `probed`'s base and its evaluation printed."""
    return probed.call("dvc", "repro", "evaluate-tiny")


def probes(printed: str) -> list[list[Any]]:
    return [json.loads(text) for text in re.findall(r"^probe (.*)$", printed, re.MULTILINE)]


def forks(printed: str) -> list[list[Any]]:
    """The probes of processes that have the libraries."""
    return [probe for probe in probes(printed) if probe[1]]


def test_stages_fork_from_one_process_that_has_the_libraries_and_none_of_the_code(probed: Lab, built: str) -> None:
    base, evaluation = forks(built)
    assert base == evaluation
    assert base[2] == ["thicket", "thicket.cli"]
    deadline = time.monotonic() + 60
    while list((probed.root / "build/resume").glob("*.socket")):
        assert time.monotonic() < deadline, "it lives as long as DVC"
        time.sleep(0.1)


@pytest.mark.usefixtures("built")
def test_without_dvc_a_stage_runs_in_its_own_process(probed: Lab) -> None:
    printed = probed.call(*STAGE)
    ((parent, torch, _),) = probes(printed)
    assert parent == os.getpid()
    assert not torch


def as_dvc(lab: Lab, script: str, status: int = 0) -> str:
    """Runs a script that stands in for DVC as the parent of a stage's process; what it printed."""
    head = f"import json, os, signal, socket, subprocess\nstage = {STAGE}\n"
    # Where the tests themselves run in the background, a shell has them ignore SIGINT, and children inherit that.
    head += "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    environment = {**lab.environment, "DVC_STAGE": "evaluate-tiny"}
    command = [sys.executable, "-c", head + script]
    done = subprocess.run(
        command, cwd=lab.root, env=environment, capture_output=True, text=True, check=False, start_new_session=True
    )
    assert done.returncode == status, done.stderr
    return done.stdout


@pytest.mark.usefixtures("built")
def test_the_socket_of_a_killed_process_is_no_obstacle(probed: Lab, tmp_path: Path) -> None:
    script = """
from thicket.warm import address_of
left = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
left.bind(str(address_of(os.getpid())))
left.close()
subprocess.run(stage, check=True)
"""
    printed = as_dvc(probed.copy(tmp_path / "project"), script)
    assert len(forks(printed)) == 1


@pytest.mark.usefixtures("built")
def test_a_signal_that_a_stage_does_not_catch_ends_it(probed: Lab, tmp_path: Path) -> None:
    lab = probed.copy(tmp_path / "project")
    with (lab.root / "thicket/stages/__init__.py").open("a", encoding="utf-8") as module:
        module.write("import sys, time\nsys.stdout.flush()\ntime.sleep(60)\n")
    script = """
running = subprocess.Popen(stage, stdout=subprocess.PIPE, text=True)
while " true, " not in running.stdout.readline():
    assert running.poll() is None
running.send_signal(signal.SIGTERM)
os._exit(running.wait())
"""
    assert as_dvc(lab, script, 128 + signal.SIGTERM) == ""


FAILING = {
    "raise ValueError('the numbers do not fit')": "Error: the numbers do not fit",  # a user's mistake
    "raise RuntimeError('a fault')": "RuntimeError: a fault",
    "os.kill(os.getpid(), 9)": "Error: the stage ended without a status: killed, perhaps for the memory that it took",
}


@pytest.mark.usefixtures("built")
def test_a_stage_runs_the_code_of_its_time_and_its_failure_is_its_process_s(probed: Lab, tmp_path: Path) -> None:
    lab = probed.copy(tmp_path / "project")
    shutil.copy(ROOT / "thicket/cli.py", lab.root / "thicket/cli.py")  # no probes
    shutil.rmtree(lab.root / "build/resume/scores")  # there is progress to tell
    path = lab.root / "thicket/stages/evaluate.py"
    text = path.read_text(encoding="utf-8")
    head, body = text.split("\ndef evaluate(")
    signature, rest = body.split(":\n", 1)
    codes = [f"import os\n{head}\ndef evaluate({signature}:\n    {line}\n{rest}" for line in FAILING]
    script = f"""
for code in {codes!r}:
    open("thicket/stages/evaluate.py", "w").write(code)
    done = subprocess.run(stage, capture_output=True, text=True)
    print("probe", json.dumps([done.returncode, done.stderr]))
open("thicket/stages/evaluate.py", "w").write({text!r})
unread = subprocess.Popen(stage, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
unread.stdout.close()
print("probe", json.dumps([unread.wait(), unread.stderr.read()]))
"""
    *failed, unread = probes(as_dvc(lab, script))
    for (status, printed), said in zip(failed, FAILING.values(), strict=True):
        assert status == 1
        assert said in printed
        assert ("Traceback" in printed) == (not said.startswith("Error:"))
    assert unread == [141, ""], "nobody reads on"


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize(
    ("end", "status"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
        ("os.killpg(os.getpgrp(), signal.SIGINT); sys.exit(running.wait())", 130),
        ("running.terminate(); sys.exit(running.wait())", 128 + signal.SIGTERM),
    ],
    ids=["DVC is killed", "Ctrl-C", "SIGTERM to the stage"],
)
def test_nothing_goes_on_that_was_ended_while_the_libraries_load(
    probed: Lab, tmp_path: Path, end: str, status: int
) -> None:
    lab = probed.copy(tmp_path / "project")
    script = f"""
import glob, sys, time
running = subprocess.Popen(stage)
signal.signal(signal.SIGINT, signal.SIG_IGN)
while not glob.glob("build/resume/*.socket"):
    time.sleep(0.01)
time.sleep(0.5)
{end}
"""
    printed = as_dvc(lab, script, status)
    assert not forks(printed), "a stage was begun"
    deadline = time.monotonic() + 60
    while processes(lab):
        assert time.monotonic() < deadline, processes(lab)
        time.sleep(0.1)
    assert not list((lab.root / "build/resume").glob("*.socket"))


def test_where_there_can_be_no_socket_a_stage_runs_by_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "build").mkdir()
    (tmp_path / "build/resume").write_text("no folder", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(UNDER_DVC, "evaluate-tiny")
    monkeypatch.setattr("thicket.signals.die_with_dvc", bool)
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert warm.run(Path("build/config/evaluate/tiny.yaml")) is None
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)
    assert warm.run(Path("build/config/data/sort.yaml")) is None
