"""`thicket` by itself and `thicket status`, without DVC: what is declared, runs, failed or broke off."""

import json
import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from commands import Command

from thicket.config.project import Project
from thicket.plan.pipeline import Planned, pipeline
from thicket.plan.run_states import making_words
from thicket.plan.state import outs_of
from thicket.stages.publish import locked
from thicket.stages.run import in_pipeline, ran, resume_folder
from thicket.standing import Standing, read_record


def state(command: Command, stage: str) -> dict[str, object]:
    said = command("status", "--json")
    assert (said.status, said.err) == (0, "")
    return next(one for one in json.loads(said.out)["stages"] if one["stage"] == stage)


def test_in_an_empty_folder(tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = command()
    assert (said.status, said.err) == (0, "")
    assert "No experiment here: there is no params.yaml." in said.out
    assert "thicket experiment use tiny" in said.out
    assert "git init && dvc init" in said.out


def test_with_a_problem(sample: Path, command: Command) -> None:
    path = sample / "params.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("method: opd", "method: odp"), encoding="utf-8")
    said = command()
    assert said.status == 0
    assert "The configuration has a problem: params.yaml:12: students.opd.method = 'odp'" in said.out
    assert "thicket check" in said.out


def test_out_of_step(sample: Path, command: Command) -> None:
    assert "thicket plan" in command().out
    said = command("status")
    assert said.out.splitlines()[-1] == "dvc.yaml is out of step with params.yaml: `thicket plan` writes it."


def test_nothing_is_built(sample: Path, command: Command) -> None:
    command("plan")
    said = command()
    assert said.out.startswith("toy: 15 stages: 15 missing.\n")
    assert "  dvc repro student-opd " in said.out
    lines = command("status").out.splitlines()
    assert lines[0] == "toy: 15 stages: 15 missing"
    assert "│   ├── · opd  opd of sort-grpo, reverse-grpo  scores ·" in lines
    assert not [line for line in lines if line != line.rstrip()]
    assert state(command, "student-opd")["why"] == [
        {"kind": "record", "what": "never built", "before": None, "after": None}
    ]


def test_a_stage_that_failed(sample: Path, command: Command) -> None:
    command("plan")
    command("compose")
    assert command("run", "build/config/models/opd.yaml").status == 1
    found = state(command, "student-opd")
    assert (found["state"], found["log"]) == ("failed", "build/logs/student-opd.log")
    assert "build/models/sort-grpo: not a model of this pipeline" in str(found["message"])
    assert "not a model of this pipeline" in (sample / "build/logs/student-opd.log").read_text()
    assert "failed: " in command("status").out
    assert "dvc repro student-opd" in command().out


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_a_failure_is_of_what_failed(sample: Path, command: Command) -> None:
    """With other code, another config or other inputs it is over: what would run now is something else."""
    command("plan")
    command("compose")
    assert command("run", "build/config/models/opd.yaml").status == 1
    path = sample / "build/logs/student-opd.json"
    failed, over = path.read_text(encoding="utf-8"), "since it failed (build/models/sort-grpo: not a model of this"

    def found() -> tuple[str, list[tuple[str, str]]]:
        one: Any = state(command, "student-opd")
        return one["state"], [(reason["kind"], reason["what"][:72]) for reason in one["why"]]

    assert found() == ("failed", [("record", "never built")])
    edit(sample / "params.yaml", "seed: 0", "seed: 1")
    assert found() == ("missing", [("run", f"config changed {over}"[:72])])
    assert "student-opd is missing: config changed since it failed" in command().out
    assert "  missing: config changed since it failed (build/models/sort-grpo: not" in command("status").out
    assert "missing: config changed since it failed" in command("show", "opd").out
    edit(sample / "params.yaml", "seed: 1", "seed: 0")
    assert found()[0] == "failed"

    code = json.loads(failed)["ran"]["code"]
    path.write_text(failed.replace(code, "0" * len(code)), encoding="utf-8")
    assert found() == ("missing", [("run", f"code changed {over}"[:72])])
    path.write_text(failed, encoding="utf-8")
    (sample / "build/data/sort").mkdir(parents=True)
    assert found() == ("missing", [("run", f"what it reads changed {over}"[:72])])


def test_a_stage_that_runs_and_one_that_was_killed(sample: Path, command: Command) -> None:
    command("plan")
    stage = next(one.resolved.stage for one in pipeline(Project(sample)) if one.resolved.id == "base-tiny")
    run = Standing(sample / "build/logs", "base-tiny", ran(stage))
    run.tells("base", 0.25, "step 5", 100.0)
    run.log.close()
    with locked(in_pipeline(sample, stage).lock(sample, stage), "base"):  # type: ignore[arg-type]
        found = state(command, "base-tiny")
        assert found["state"] == "running"
        progress = found["progress"]
        assert isinstance(progress, dict)
        assert (progress["pid"], progress["share"], progress["figures"]) == (os.getpid(), 0.25, "step 5")
        assert 90 < progress["seconds_left"] <= 100
        assert "▶ tiny  pretrain  25%  step 5" in command("status").out
        told = replace(run.record, share=None)
        assert making_words(told) == "being made"
        assert "base-tiny: runs, 25%  step 5" in command().out
        assert "running: 25%  step 5" in command("show", "tiny").out
        for arguments in (["export", "tiny"], ["chat", "tiny"]):
            said = command(*arguments)
            assert (said.status, "it is being made: 25%  step 5" in said.err) == (2, True)
        assert command("clean", "--yes").status == 1
    found = state(command, "base-tiny")
    assert (found["state"], found["progress"]) == ("stopped", None)
    assert "broke off at 25%: `dvc repro base-tiny` begins it anew: no checkpoint is there" in command("status").out
    resume_folder(sample, stage).mkdir()  # type: ignore[arg-type]
    for arguments in (["status"], ["show", "tiny"]):
        assert "broke off at 25%: `dvc repro base-tiny` goes on  (build/logs/base-tiny.log)" in command(*arguments).out
    for arguments in (["export", "tiny"], ["chat", "tiny"]):
        said = command(*arguments)
        assert (said.status, "not made yet: broke off at 25%: `dvc repro base-tiny` goes" in said.err) == (2, True)
    edit(sample / "params.yaml", "seed: 0", "seed: 1")
    assert "missing: config changed since it broke off at 25%" in command("status").out


def made_and_not_recorded(root: Path) -> Planned:
    """A base whose run has ended just now, and of which dvc.lock does not know."""
    planned = next(one for one in pipeline(Project(root)) if one.resolved.id == "base-tiny")
    for path in map(root.joinpath, outs_of(planned)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("made", encoding="utf-8")
    Standing(root / "build/logs", "base-tiny").ends("done")
    return planned


def test_a_stage_that_dvc_is_recording(sample: Path, command: Command) -> None:
    command("plan")
    made_and_not_recorded(sample)
    with locked(sample / ".dvc/tmp/lock", "the repository"):
        found = state(command, "base-tiny")
        assert (found["state"], found["recording"], found["progress"]) == ("running", True, None)
        assert "▶ tiny  pretrain  made, being recorded by DVC" in command("status").out
        assert "base-tiny: made, being recorded by DVC" in command().out
    found = state(command, "base-tiny")
    assert (found["state"], found["recording"]) == ("stale", False)


def test_what_dvc_knows_nothing_of(sample: Path, command: Command) -> None:
    """As after a change of experiments: another one's model must not be taken as this one's."""
    command("plan")
    planned = made_and_not_recorded(sample)
    taken = "`dvc commit base-tiny` takes it as it is"

    def why() -> object:
        (reason,) = state(command, "base-tiny")["why"]  # type: ignore[misc]
        return reason["what"]

    assert why() == f"in build/, of an unknown config: {taken}"
    Standing(sample / "build/logs", "base-tiny", ran(planned.resolved.stage)).ends("done")
    assert why() == f"in build/, and dvc.lock knows nothing of it: {taken}"
    edit(sample / "params.yaml", "seed: 0", "seed: 1")
    assert why() == "in build/, made with another config"


@pytest.mark.parametrize("ended", [0.0, 1.0])
def test_what_dvc_is_at_counts_from_its_start(sample: Path, command: Command, ended: float) -> None:
    """One that began after the run ended makes it anew, and does not record it."""
    command("plan")
    planned = made_and_not_recorded(sample)
    record = read_record(sample / "build/logs", "base-tiny")
    assert record is not None
    at = psutil.Process().create_time() - 1.0 + 2.0 * ended
    text = json.dumps(asdict(replace(record, updated=at)))
    (sample / "build/logs/base-tiny.json").write_text(text, encoding="utf-8")
    rwlock = sample / ".dvc/tmp/rwlock"
    rwlock.parent.mkdir(parents=True)
    by = {"pid": os.getpid(), "cmd": "dvc repro"}
    rwlock.write_text(json.dumps({"write": {str(sample / out): by for out in outs_of(planned)}}), encoding="utf-8")
    found = state(command, "base-tiny")
    assert (found["state"], found["recording"]) == ("running", bool(ended))


def test_a_wrong_command_has_a_nearest_match(command: Command) -> None:
    assert command("stauts").err.rstrip().endswith("did you mean status?")
