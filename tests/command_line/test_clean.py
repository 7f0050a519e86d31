"""`thicket clean` frees what nothing needs; DVC's cache is cleaned in tests/pipeline/test_status.py."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from commands import Command
from toys import stages

from thicket.arguments import KINDS
from thicket.commands.cache import unused
from thicket.plan.recorded import CACHE
from thicket.stages.run import resume_folder


@pytest.fixture
def project(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With a checkpoint that its stage goes on from, one of a config that is gone, and a run by itself."""
    root = Path(shutil.copytree(made, tmp_path / "project"))
    monkeypatch.chdir(root)
    needed = resume_folder(root, stages(root)["specialist-sort-grpo"])
    for folder in (needed, root / "build/resume/specialist-gone-0123456789abcdef", root / "build/runs/data/sort-1"):
        folder.mkdir(parents=True)
        (folder / "checkpoint").write_bytes(bytes(1000))
    return root


def test_what_is_held(project: Path, command: Command) -> None:
    found = json.loads(command("clean", "--json").out)
    assert list(found) == list(KINDS)
    sizes = {"bytes": 2000, "can_free": 1000, "freed": False}
    assert found["checkpoints"] == {**sizes, "kept_for": ["specialist-sort-grpo"]}
    assert found["runs"] == {"bytes": 1000, "can_free": 1000, "freed": False, "kept_for": []}
    assert found["scores"]["can_free"] > 0


def test_what_nothing_needs_goes(project: Path, command: Command) -> None:
    said = command("clean", "--yes")
    assert (said.status, said.out.splitlines()[-1]) == (0, "Freed 1.0 KiB.")
    resume = sorted(path.name for path in (project / "build/resume").iterdir() if path.is_dir())
    assert [name.rpartition("-")[0] for name in resume if name != "scores"] == ["specialist-sort-grpo"]
    assert (project / "build/runs/data/sort-1/checkpoint").is_file()
    assert (project / "build/resume/scores").is_dir()
    assert (project / "build/models/soup/model.safetensors").is_file()


def test_the_rest_goes_by_name(project: Path, command: Command) -> None:
    assert command("clean", "runs", "scores", "--yes").status == 0
    assert not (project / "build/runs").exists()
    assert not (project / "build/resume/scores").exists()
    assert (project / "build/resume/specialist-gone-0123456789abcdef").is_dir()


def test_a_run_that_was_stopped_can_go_on(project: Path, command: Command) -> None:
    """Of a sweep or by itself: its folder is there, and has no artifact yet."""
    resume = project / "build/resume/specialist-sort-grpo-0123456789abcdef"
    done = project / "build/resume/specialist-sort-sft-fedcba9876543210"
    for folder in (resume, done):
        folder.mkdir()
        (folder / "last.ckpt").write_bytes(bytes(1000))
    (project / "build/runs/specialist/sort-grpo-01234567").mkdir(parents=True)
    (project / "build/runs/specialist/sort-sft-fedcba98/specialist").mkdir(parents=True)
    said = command("clean", "--yes")
    assert said.status == 0
    kept = (
        "Kept, as a run that broke off goes on from it: specialist-sort-grpo, build/runs/specialist/sort-grpo-01234567."
    )
    assert kept in said.out.splitlines()
    assert (resume.is_dir(), done.is_dir()) == (True, False)
    said = command("clean", "stopped", "--yes")
    assert (said.status, "Kept" in said.out, resume.is_dir()) == (0, False, False)


def test_an_unknown_kind(project: Path, command: Command) -> None:
    said = command("clean", "chekpoints", "--yes")
    assert (said.status, "did you mean: checkpoints" in said.err) == (2, True)


def test_earlier_commits_keep_their_models_until_they_are_named(tmp_path: Path) -> None:
    def git(*arguments: str) -> None:
        own = ("-c", "user.name=a", "-c", "user.email=a@b.c")
        subprocess.run(["git", *own, *arguments], cwd=tmp_path, check=True, capture_output=True)

    git("init")
    first, second, nobodys = (digit * 32 for digit in "123")
    for md5 in (first, second):
        (tmp_path / "dvc.lock").write_text(f"outs:\n- md5: {md5}\n")
        git("add", "dvc.lock")
        git("commit", "-m", "one more")
    for md5 in (first, second, nobodys):
        file = tmp_path / CACHE / md5[:2] / md5[2:]
        file.parent.mkdir(parents=True)
        file.write_bytes(b"weights")
    assert [path.parent.name for path in unused(tmp_path)] == ["33"]
    assert [path.parent.name for path in unused(tmp_path, named=True)] == ["11", "33"]
