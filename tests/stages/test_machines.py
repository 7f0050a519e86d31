"""Stages over two machines, which are two groups of processes here: what they make is what one process makes."""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from toys import changed, run, stages, toy_project

from thicket.config.stages import write_stage
from thicket.stages.run import in_pipeline, run_stage

pytestmark = pytest.mark.long
ROUNDING = 1e-5
"""What sums in another order may move a weight by, over a toy training (see test_several.py)."""
STAGES = ("specialist-sort-grpo", "evaluate-sort-grpo")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which one process has made a specialist and its scores, kept aside; configs ask for four, or two."""
    root = toy_project(tmp_path_factory.mktemp("machines") / "project")
    run(root, "data-sort", "data-reverse", "base-tiny")
    for name in STAGES:
        stage = stages(root)[name]
        run_stage(root, stage, in_pipeline(root, stage))
        shutil.copytree(in_pipeline(root, stage).artifact, root / "one" / name)
        for count in (4, 2):
            several = changed(changed(stage, "trainer.strategy", "ddp"), "trainer.devices", count)
            write_stage(root / f"{name}-{count}.yaml", several)
    return root


def free_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


def asked(count: int) -> list[str]:
    return ["-m", "thicket", "run", *(f"{name}-{count}.yaml" for name in STAGES)]


def by_torchrun(roots: Sequence[Path]) -> list[subprocess.CompletedProcess[str]]:
    """An agent a machine, two processes each."""
    port = free_port()
    meet = ["--nnodes", "2", "--nproc-per-node", "2", "--master-addr", "127.0.0.1", "--master-port", port]
    start = [sys.executable, "-m", "torch.distributed.run", *meet]
    return waited_for(
        [([*start, "--node-rank", str(node), *asked(4)], root, {}) for node, root in enumerate(roots)],
    )


def by_srun(roots: Sequence[Path]) -> list[subprocess.CompletedProcess[str]]:
    """Slurm's variables for a process on each machine; the step's first host is this one."""
    shared = {"SLURM_JOB_ID": free_port(), "SLURM_STEP_NUM_TASKS": "2", "SLURM_STEP_TASKS_PER_NODE": "1(x2)"}
    shared |= {"SLURM_STEP_NODELIST": "localhost,elsewhere", "SLURM_NTASKS": "2", "SLURM_JOB_NODELIST": "another"}
    started = []
    for node, root in enumerate(roots):
        own = {"SLURM_PROCID": str(node), "SLURM_LOCALID": "0", "SLURM_NODEID": str(node)}
        started.append(([sys.executable, *asked(2)], root, {**shared, **own}))
    return waited_for(started)


def waited_for(started: Sequence[Any]) -> list[subprocess.CompletedProcess[str]]:
    running = [
        subprocess.Popen(
            command,
            cwd=root,
            env={**os.environ, **own},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for command, root, own in started
    ]
    said = [process.communicate(timeout=300) for process in running]
    return [
        subprocess.CompletedProcess(process.args, process.returncode, *texts)
        for process, texts in zip(running, said, strict=True)
    ]


@pytest.mark.parametrize(("start", "count"), [(by_torchrun, 4), (by_srun, 2)])
def test_two_machines_make_what_one_process_makes(made: Path, start: Any, count: int) -> None:
    for folder in ("models/sort-grpo", "evaluation/sort-grpo", "resume"):
        shutil.rmtree(made / "build" / folder)
    done = start([made, made])
    assert [one.returncode for one in done] == [0] * len(done), "".join(one.stderr for one in done)
    specialist, scores = (made / "one" / name for name in STAGES)
    found = load_file(made / "build/models/sort-grpo/model.safetensors")
    for name, expected in load_file(specialist / "model.safetensors").items():
        torch.testing.assert_close(found[name], expected, rtol=0, atol=ROUNDING)
    assert (made / "build/evaluation/sort-grpo/items.csv").read_bytes() == (scores / "items.csv").read_bytes()
    times = json.loads((made / "build/times/sort-grpo.json").read_text(encoding="utf-8"))
    assert times["device"].startswith(f"{count} × ")
    assert not list((made / "build/resume").glob(".seen*"))


def test_machines_that_share_no_folder_say_so(made: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(made, tmp_path / "copy"))
    done = by_srun([made, other])
    assert [one.returncode for one in done] == [1, 1]
    where = f"build/resume on {socket.gethostname()} is not the folder that the first process writes to"
    assert all(where in one.stderr for one in done)
    assert not any("Traceback" in one.stderr for one in done)


def test_a_command_with_others_beside(made: Path) -> None:
    """The first process alone speaks; all of them find a run that is there; a stage of one process is refused."""
    started = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", free_port()]
    command = [*started, "-m", "thicket", "specialist", "domain=sort", "method=grpo"]
    texts = list[str]()
    for _ in range(2):
        (done,) = waited_for([([*command, "trainer=ddp", "trainer.accelerator=cpu"], made, {})])
        assert done.returncode == 0, done.stderr
        texts.append(done.stdout)
    assert texts[0].count("specialist sort-grpo: build/runs/") == 1
    assert texts[1].count("(made before)") == 1
    (done,) = waited_for([(command, made, {})])
    assert done.returncode == 1
    assert (
        "2 processes were started for specialist-sort-grpo, and its trainer.devices = 1: say trainer=ddp" in done.stderr
    )
