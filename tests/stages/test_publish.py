"""An artifact appears whole or not at all, and one process at a time makes it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from thicket.disk import write_whole
from thicket.stages.publish import Busy, locked, whole


def test_a_failed_block_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "model"
    with whole(target) as out:
        (out / "weights").write_text("old")

    def fail() -> None:
        with whole(target) as out:
            (out / "weights").write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert (target / "weights").read_text() == "old"
    with whole(target) as out:
        assert not list(out.iterdir()), "leftovers of the failed run are gone"
        (out / "weights").write_text("new")
    assert (target / "weights").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_two_stages_share_a_folder_file_by_file(tmp_path: Path) -> None:
    target = tmp_path / "report"
    for name, text in (("claims", "first"), ("report", "other"), ("claims", "second")):
        with whole(target, beside=name) as out:
            (out / f"{name}.json").write_text(text)
    assert {path.name: path.read_text() for path in target.iterdir()} == {
        "claims.json": "second",
        "report.json": "other",
    }
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_write_whole_replaces(tmp_path: Path) -> None:
    for text in ("first", "second"):
        write_whole(tmp_path / "deep" / "file.json", text)
    assert [(path.name, path.read_text()) for path in (tmp_path / "deep").iterdir()] == [("file.json", "second")]


def test_a_lock_names_its_holder_and_ends_with_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    hold = (
        "import sys; from pathlib import Path; from thicket.stages.publish import locked\n"
        "with locked(Path(sys.argv[1]), 'x'): print('held', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", hold, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout is not None
    assert other.stdout.readline() == "held\n"
    with (
        pytest.raises(Busy, match=f"models/sort is being made by another process .pid {other.pid}."),
        locked(path, "models/sort"),
    ):
        pass
    other.kill()
    other.communicate()
    with locked(path, "models/sort"):
        assert path.read_text() == str(os.getpid())
