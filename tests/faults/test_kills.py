"""Three kills of a small stage, one a signal, and a dvc.lock that breaks off. `kills.py` has the others."""

import random
from pathlib import Path

import pytest
from killing import PUBLISHED, RANDOM, Kill, disturbed, measured, said
from lab import Lab
from shrunken import Reference, shrunken

from thicket.config.yamlfile import read_yaml
from thicket.plan.dvclock import RWLOCK, mend_lock, mend_rwlock

STAGE = "data-sort"
KILLS = (
    Kill(STAGE, 0, "INT", "group", RANDOM, 0.6),
    Kill(STAGE, 1, "TERM", "dvc", PUBLISHED, 0.0),
    Kill(STAGE, 2, "KILL", "stage", RANDOM, 0.5),
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lab, Reference]:
    lab = shrunken(tmp_path_factory.mktemp("kills") / "project")
    lab.repro("compose")
    return lab, measured(lab, STAGE, "reference")


@pytest.mark.parametrize("kill", KILLS, ids=lambda kill: kill.signal)
def test_what_is_killed_is_made_again(built: tuple[Lab, Reference], kill: Kill) -> None:
    found = disturbed(built[0], kill, built[1], f"kill-{kill.number}")
    assert not found.problems, f"{said(found)}\n{found.printed}"


def test_a_lock_that_breaks_off_keeps_its_whole_entries(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "dvc.lock"
    entry = "  stage{0}:\n    cmd: exec thicket run {0}\n    outs:\n    - path: build/{0}\n      md5: 12ab{0}.dir\n"
    text = "schema: '2.0'\nstages:\n" + "".join(entry.format(number) for number in range(20))
    path.write_text(text, encoding="utf-8")
    mend_lock(tmp_path)
    assert path.read_text(encoding="utf-8") == text
    rng = random.Random(0)
    for length in (0, 14, len(text) - 1, *(rng.randrange(len(text)) for _ in range(40))):
        path.write_text(text[:length], encoding="utf-8")
        mend_lock(tmp_path)
        assert "dvc.lock is broken (DVC was stopped while it wrote it)" in capsys.readouterr().err
        kept = read_yaml(path, "dvc.lock").value["stages"] if path.exists() else {}
        whole = text[:length].count(".dir\n")
        assert len(kept) in (whole, whole - 1) or not path.exists()
        assert all(one["outs"][0]["md5"].endswith(".dir") for one in kept.values())
    path.write_text("<<<<<<< HEAD\n" + text, encoding="utf-8")
    mend_lock(tmp_path)
    assert path.read_text(encoding="utf-8").startswith("<<<<<<<"), "a merge is people's"


def test_dvcs_note_of_its_files_that_a_kill_cut_off_goes(tmp_path: Path) -> None:
    mend_rwlock(tmp_path)  # there is none
    note = tmp_path / RWLOCK
    note.parent.mkdir(parents=True)
    for text in ("{}", '{"read": {}, "write": {"a": {"pid": 1, "cmd": "b"}}}'):
        note.write_text(text)
        mend_rwlock(tmp_path)
        assert note.read_text() == text
    for text in ("", '{"read": {"a": [{"pid": 1'):
        note.write_text(text)
        mend_rwlock(tmp_path)
        assert not note.exists()
