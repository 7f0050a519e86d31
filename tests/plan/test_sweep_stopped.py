"""SIGTERM at a sweep whose launcher starts processes: its jobs stop with it, and go on with the same command."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from toys import run, toy_project

pytestmark = pytest.mark.long
LR = ("1e-4", "2e-4")


LAUNCHERS = {
    "hydra_submitit_launcher": ["hydra/launcher=submitit_local"],
    "hydra_ray_launcher": ["hydra/launcher=ray_local", "+hydra.launcher.ray.init.num_cpus=2"],
}


@pytest.mark.parametrize("package", LAUNCHERS)
def test_its_jobs_stop_and_go_on(tmp_path: Path, package: str) -> None:
    pytest.importorskip(f"hydra_plugins.{package}")
    root = toy_project(tmp_path / "toy")
    run(root, "data-sort", "base-tiny")
    asked = ["domain=sort", "method=grpo", "method.select_every=0", f"method.optimizer.lr={','.join(LR)}"]
    command = [sys.executable, "-m", "thicket", "specialist", "-m", *asked, *LAUNCHERS[package]]
    stopped = subprocess.Popen([*command, "method.steps=60"], cwd=root, stderr=subprocess.PIPE, text=True)
    wait_for_checkpoints(root, stopped)
    below = psutil.Process(stopped.pid).children(recursive=True)
    stopped.send_signal(signal.SIGTERM)
    said = stopped.communicate(timeout=60)[1]
    assert stopped.returncode == 128 + signal.SIGTERM, said
    assert "Stopped by SIGTERM. The same command goes on from the last checkpoints." in said
    assert "Traceback" not in said
    psutil.wait_procs(below, 20)  # loky's own helper and Ray's servers end a moment after the sweep
    assert not [one for one in below if one.is_running()]
    assert not list(root.glob("build/runs/specialist/*/specialist"))
    assert len(checkpoints(root)) == 2
    done = subprocess.run([*command, "method.steps=60"], cwd=root, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    logs = (
        done.stdout
        + done.stderr
        + "".join(log.read_text() for log in root.glob("build/runs/sweeps/*/.submitit/**/*_log.out"))
    )
    assert logs.count("goes on from") == 2
    assert len(list(root.glob("build/runs/specialist/*/specialist/model.safetensors"))) == 2
    assert not checkpoints(root)


def checkpoints(root: Path) -> list[Path]:
    return list((root / "build/resume").glob("specialist-*/last.ckpt"))


def wait_for_checkpoints(root: Path, running: "subprocess.Popen[str]") -> None:
    """Until both of its jobs have written one."""
    deadline = time.monotonic() + 120
    while len(checkpoints(root)) < len(LR):
        assert running.poll() is None, running.communicate()[1]
        assert time.monotonic() < deadline, "no checkpoints after two minutes"
        time.sleep(0.1)
