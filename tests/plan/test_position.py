"""Which stage of how many a `dvc repro` is at, by what dvc.lock has of the others."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from thicket.plan import position
from thicket.signals import UNDER_DVC

NEEDS = {"data": (), "base": (), "student": ("data", "base"), "report": ("student",)}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Four stages that are all done."""
    for name in NEEDS:
        for path in (out(name), config(name)):
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / out(name)).write_text("", encoding="utf-8")
        (tmp_path / config(name)).write_text("lr: 2e-4\n", encoding="utf-8")
    declared = {
        name: {"cmd": f"exec thicket run {config(name)}", "deps": [*map(out, needs)], "outs": [out(name)]}
        for name, needs in NEEDS.items()
    }
    write(tmp_path / "dvc.yaml", {"compose": {"cmd": "thicket compose", "outs": ["build/config"]}, **declared})
    write(tmp_path / "dvc.lock", {name: recorded(name) for name in NEEDS})
    return tmp_path


def out(name: str) -> str:
    return f"build/{name}"


def config(name: str) -> str:
    return f"build/config/{name}.yaml"


def recorded(name: str, md5: str = "1") -> dict[str, Any]:
    deps = [{"path": out(need), "md5": "1"} for need in NEEDS[name]]
    return {"params": {config(name): {"lr": 0.0002}}, "deps": deps, "outs": [{"path": out(name), "md5": md5}]}


def write(path: Path, stages: dict[str, Any]) -> None:
    path.write_text(yaml.safe_dump({"stages": stages}), encoding="utf-8")


def at(project: Path, name: str, *command: str) -> str:
    return position.position(project, Path(config(name)), ["python", "/bin/dvc", "repro", *command])


def test_what_is_done_is_counted(project: Path) -> None:
    assert at(project, "report") == "stage 4 of 4"
    assert at(project, "student", "student") == "stage 3 of 3 for student"
    assert at(project, "base", "dvc.yaml:base") == "stage 1 of 1 for base"
    (project / out("base")).unlink()
    assert at(project, "base", "student", "report") == "stage 2 of 4 for student and report"


@pytest.mark.parametrize("how", ["another config", "made anew", "never made"])
def test_what_rests_on_what_is_not_done_is_not_done(project: Path, how: str) -> None:
    lock = {name: recorded(name) for name in NEEDS}
    if how == "another config":
        (project / config("student")).write_text("lr: 3e-4\n", encoding="utf-8")
    elif how == "made anew":
        lock["base"] = recorded("base", md5="2")
    else:
        del lock["student"]
    write(project / "dvc.lock", lock)
    assert at(project, "student") == "stage 3 of 4"
    assert at(project, "report") == "stage 3 of 4"


def test_without_a_lock_nothing_is_done(project: Path) -> None:
    (project / "dvc.lock").unlink()
    assert at(project, "data") == "stage 1 of 4"


@pytest.mark.parametrize("command", [["-s", "report"], ["--downstream", "base"], ["--glob", "*"], ["student"]])
def test_where_dvc_builds_others_nothing_is_said(project: Path, command: Sequence[str]) -> None:
    assert at(project, "report", *command) == ""


def test_a_stage_runs_without_knowing(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The lock is half, or the parent is no DVC that anybody may ask: a stage has better things to do."""
    position.tell(project, Path(config("report")))
    monkeypatch.setenv(UNDER_DVC, "report")
    (project / "dvc.lock").write_text("stages: {a: [", encoding="utf-8")
    position.tell(project, Path(config("report")))
    monkeypatch.setattr(os, "getppid", lambda: 2**22 + 1)
    position.tell(project, Path(config("report")))
    assert capsys.readouterr().out == ""
