"""A disk that is full or read-only: one line says so, what was there before still is, and with room it goes on."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from commands import Run
from full_disk import files_of_at_most
from safetensors.torch import load_file
from shrunken import fingerprint
from toys import DECLARED, declare, stages

from thicket.cli import main
from thicket.stages.run import in_pipeline

SOUP = {"base": "tiny", "method": "soup", "teachers": ["sort-grpo", "reverse-grpo"]}
FULL = {
    "items": ("data-sort", 500, "build/data/sort"),
    "checkpoint": ("specialist-sort-grpo", 20_000, "last.ckpt"),
    "weights": ("student-soup", 10_000, "build/models/.soup.partial"),
    "scores": ("evaluate-tiny", 100, "build/resume/scores"),
}
"""What is being written → (stage, bytes that a file may have, what the message names)."""


@contextmanager
def small_disk(path: Path, options: str) -> Iterator[None]:
    """A disk of its own at a folder."""
    path.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("no file systems can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", str(path)], check=True)


def litter(project: Path) -> list[Path]:
    return list((project / "build").rglob("*.partial"))


@pytest.mark.parametrize(("name", "most", "named"), FULL.values(), ids=FULL)
def test_what_can_not_be_written_is_named_and_done_again(
    project: Path, said: Run, name: str, most: int, named: str
) -> None:
    declare(project, {**DECLARED, "students": {"soup": SOUP}})
    stage = stages(project)[name]
    artifact = in_pipeline(project, stage).artifact
    before = fingerprint(artifact)
    with files_of_at_most(most):
        failed = said(project, stage)
    assert failed.status == 1
    assert f"{named}" in failed.err
    assert re.search(r"can't be written: .*File too large.*; its disk has .* GiB left", failed.err)
    assert fingerprint(artifact) == before
    assert not litter(project)
    assert said(project, stage).status == 0
    assert before in ("not there", fingerprint(artifact))


def test_a_disk_that_fills_up_keeps_the_last_checkpoint(project: Path, said: Run) -> None:
    stage = stages(project)["specialist-sort-grpo"]
    weights = in_pipeline(project, stage).artifact / "model.safetensors"
    before = load_file(weights)
    resume = project / "build/resume"
    with small_disk(resume, "size=100k"):
        failed = said(project, stage)
        assert failed.status == 1
        assert "last.ckpt.partial can't be written: No space left on device; its disk has 0.00 GiB left" in failed.err
        (kept,) = resume.glob("*/last.ckpt")
        assert not litter(project)
        subprocess.run(["mount", "-o", "remount,size=8m", str(resume)], check=True)
        assert kept.is_file()
        again = said(project, stage)
    assert again.status == 0
    assert "goes on from step" in again.out
    after = load_file(weights)
    assert all(after[key].equal(before[key]) for key in before)


def test_a_read_only_disk(project: Path, said: Run, capsys: pytest.CaptureFixture[str]) -> None:
    stage = stages(project)["evaluate-tiny"]
    for folder, named in (("build/evaluation", "build/evaluation/tiny"), ("build/resume", ".lock")):
        with small_disk(project / folder, "ro"):
            failed = said(project, stage)
        assert failed.status == 1
        assert named in failed.err
        assert "can't be written: Read-only file system" in failed.err
    with small_disk(project / "build", "ro"):
        capsys.readouterr()
        assert main(["compose"]) == 1
    assert "build/config can't be written: Read-only file system" in capsys.readouterr().err
