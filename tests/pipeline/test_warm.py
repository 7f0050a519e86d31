"""Stages of one `dvc repro` fork from a process that has the libraries loaded, and run code that is read after that."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from lab import Lab, new_lab

PROBE = """
import json, os, sys
mine = sorted(name for name in sys.modules if name.split(".")[0] == "thicket")
print("probe", json.dumps([os.getppid(), "torch" in sys.modules, mine]))
"""
"""Printed where a process first loads a stage's code: its parent, whether torch is there, what of thicket is."""


@pytest.fixture(scope="module")
def probed(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    lab = new_lab(tmp_path_factory.mktemp("warm") / "project")
    with (lab.root / "thicket/stages/__init__.py").open("a", encoding="utf-8") as module:
        module.write(PROBE)
    return lab


def probes(printed: str) -> list[list[Any]]:
    return [json.loads(text) for text in re.findall(r"^probe (.*)$", printed, re.MULTILINE)]


def test_stages_fork_from_one_process_that_has_the_libraries_and_none_of_the_code(probed: Lab) -> None:
    printed = probed.call("dvc", "repro", "evaluate-tiny")
    base, evaluation = [probe for probe in probes(printed) if probe[1]]
    assert len(probes(printed)) == 4  # two of data, which need no libraries
    assert base == evaluation
    assert base[2] == ["thicket", "thicket.stages"]
    assert not list((probed.root / "build/resume").glob("*.socket"))


def test_without_dvc_a_stage_runs_in_its_own_process(probed: Lab) -> None:
    printed = probed.call("thicket", "run", "build/config/evaluate/tiny.yaml")
    ((parent, torch, _),) = probes(printed)
    assert parent == os.getpid()
    assert not torch


def as_dvc(lab: Lab, script: str) -> str:
    """Runs a script that stands in for DVC as the parent of a stage's process; what it printed."""
    head = (
        "import json, os, signal, socket, subprocess\nstage = ['thicket', 'run', 'build/config/evaluate/tiny.yaml']\n"
    )
    environment = {**lab.environment, "DVC_STAGE": "evaluate-tiny"}
    command = [sys.executable, "-c", head + script]
    done = subprocess.run(command, cwd=lab.root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_socket_of_a_killed_process_is_no_obstacle(probed: Lab, tmp_path: Path) -> None:
    leave = "socket.socket(socket.AF_UNIX).bind(f'build/resume/loaded-{os.getpid()}.socket')\n"
    printed = as_dvc(probed.copy(tmp_path / "project"), f"{leave}subprocess.run(stage, check=True)")
    ((_, torch, _),) = probes(printed)
    assert torch


def test_a_signal_that_a_stage_does_not_catch_ends_it(probed: Lab, tmp_path: Path) -> None:
    lab = probed.copy(tmp_path / "project")
    with (lab.root / "thicket/stages/__init__.py").open("a", encoding="utf-8") as module:
        module.write("sys.stdout.flush()\nimport time\ntime.sleep(60)\n")
    script = """
running = subprocess.Popen(stage, stdout=subprocess.PIPE, text=True)
while "probe" not in running.stdout.readline():
    assert running.poll() is None
running.send_signal(signal.SIGTERM)
print("status", running.wait())
"""
    assert as_dvc(lab, script) == f"status {128 + signal.SIGTERM}\n"


FAILING = {
    "raise ValueError('the numbers do not fit')": "Error: the numbers do not fit",  # a user's mistake
    "raise RuntimeError('a fault')": "RuntimeError: a fault",
    "sys.exit(3)": "SystemExit: 3",
    "os.kill(os.getpid(), 9)": "Error: the stage's process was killed, as one is that takes more memory than there is",
}


def test_a_stage_runs_the_code_of_its_time_and_its_failure_is_its_process_s(probed: Lab, tmp_path: Path) -> None:
    lab = probed.copy(tmp_path / "project")
    path = lab.root / "thicket/stages/evaluate.py"
    head, body = path.read_text(encoding="utf-8").split("\ndef evaluate(")
    signature, rest = body.split(":\n", 1)
    codes = [f"import os, sys\n{head}\ndef evaluate({signature}:\n    {line}\n{rest}" for line in FAILING]
    script = f"""
for code in {codes!r}:
    open("thicket/stages/evaluate.py", "w").write(code)
    done = subprocess.run(stage, capture_output=True, text=True)
    print("probe", json.dumps([done.returncode, done.stderr]))
"""
    outcomes = probes(as_dvc(lab, script))
    for (status, printed), said in zip(outcomes, FAILING.values(), strict=True):
        assert status == 1
        assert said in printed
        assert ("Traceback" in printed) == (not said.startswith("Error:"))
