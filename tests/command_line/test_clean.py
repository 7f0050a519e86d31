"""`thicket clean` frees what nothing needs; DVC's cache is cleaned in tests/pipeline/test_status.py."""

import json
import shutil
import subprocess
import zlib
from pathlib import Path

import pytest
from commands import Command
from toys import stages

from thicket.arguments import KINDS
from thicket.commands.cache import collect, unused
from thicket.plan.by_hand import REPRO
from thicket.plan.recorded import CACHE, OWNED
from thicket.stages.publish import locked
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


class Versions:
    """A repository whose commits need files of a cache; a file is of seven bytes."""

    def __init__(self, root: Path):
        self.root = root
        self.git("init", "-b", "main")

    def git(self, *arguments: str) -> None:
        own = ("-c", "user.name=a", "-c", "user.email=a@b.c")
        subprocess.run(["git", *own, *arguments], cwd=self.root, check=True, capture_output=True)

    def commits(self, digit: str, record: str = "dvc.lock") -> None:
        """A commit that needs the file of a digit."""
        (self.root / record).write_text(f"outs:\n- md5: {digit * 32}\n", encoding="utf-8")
        self.git("add", record)
        self.git("commit", "-m", digit)
        self.holds(digit)

    def holds(self, digits: str) -> None:
        for digit in digits:
            file = self.root / CACHE / (digit * 2) / (digit * 30)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"weights")

    def unused(self, named: bool = False) -> str:
        return "".join(path.parent.name[0] for path in unused(self.root, named))


@pytest.fixture
def versions(tmp_path: Path) -> Versions:
    return Versions(tmp_path)


def test_earlier_commits_keep_their_models_until_they_are_named(versions: Versions) -> None:
    versions.commits("1")
    versions.commits("2")
    versions.holds("3")
    assert versions.unused() == "3"
    assert versions.unused(named=True) == "13"


def test_whatever_a_commit_needs_is_kept(versions: Versions) -> None:
    versions.commits("1")
    versions.git("checkout", "-b", "side")
    versions.commits("2")
    versions.git("checkout", "main")
    versions.commits("3")
    versions.git("merge", "-s", "ours", "side")  # Its version is that of one parent.
    versions.git("branch", "-D", "side")
    versions.commits("4", "rows.jsonl.dvc")
    versions.git("rm", "rows.jsonl.dvc")
    versions.git("commit", "-m", "without rows")
    versions.git("checkout", "-b", "tried")
    versions.commits("5")
    versions.git("update-ref", "refs/exps/ab/cdef/seed-1", "HEAD")
    versions.git("checkout", "main")
    versions.git("branch", "-D", "tried")
    for number, folder in ((6, "data"), (8, "data/build")):  # What is no commit's yet.
        (versions.root / folder).mkdir()
        (versions.root / folder / "new.csv.dvc").write_text(f"outs:\n- md5: {f'{number}' * 32}\n", encoding="utf-8")
    versions.holds("678")
    assert versions.unused() == "7"
    assert versions.unused(named=True) == "1247"


def test_what_git_cannot_say_frees_nothing(versions: Versions) -> None:
    versions.commits("1")
    (lost,) = [
        path for path in (versions.root / ".git/objects").glob("??/*") if b"md5: " in zlib.decompress(path.read_bytes())
    ]
    (versions.root / "dvc.lock").unlink()
    lost.unlink()
    with pytest.raises(ValueError, match="git can't read what commits need"):
        versions.unused()
    versions.holds("2")
    assert (versions.root / CACHE / "22").is_dir()


def test_without_git_the_working_tree_counts(tmp_path: Path) -> None:
    (tmp_path / "dvc.lock").write_text(f"outs:\n- md5: {'1' * 32}\n", encoding="utf-8")
    for digit in "12":
        (tmp_path / CACHE / (digit * 2)).mkdir(parents=True)
        (tmp_path / CACHE / (digit * 2) / (digit * 30)).touch()
    assert [path.parent.name for path in unused(tmp_path)] == ["22"]


def test_what_no_commit_needs_goes_while_dvc_is_not_at_work(
    versions: Versions, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(versions.root)
    versions.commits("1")
    versions.commits("2")
    versions.holds("3")
    for lock, said in ((OWNED, "a repro is running: free things when nothing runs"), (REPRO, "a repro is running")):
        with locked(versions.root / lock, "the pipeline"):
            refused = command("clean", "--yes")
        assert (refused.status, refused.out) == (1, "")
        assert said in refused.err
    with locked(versions.root / OWNED, "the repository"), pytest.raises(ValueError, match="DVC is at work"):
        collect(versions.root)
    freed = command("clean", "--yes")
    assert (freed.status, freed.err) == (0, "freeing cache: 0.0 KiB\n")
    assert sorted(path.name for path in (versions.root / CACHE).glob("*/*")) == ["1" * 30, "2" * 30]
    assert command("clean", "earlier", "--yes").status == 0
    assert sorted(path.name for path in (versions.root / CACHE).glob("*/*")) == ["2" * 30]
