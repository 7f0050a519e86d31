"""Loggers are told each step of a training, whoever resumes it, and whatever befalls them leaves it as it is."""

import csv
import sys
from pathlib import Path
from typing import Any

import pytest
from breaking import End, break_step, make, terminate
from commands import Command
from lightning.pytorch.loggers import CSVLogger, Logger
from toys import DECLARED, declare, stages

from thicket.config.loggers import read_loggers
from thicket.config.search import Es
from thicket.signals import Interrupted

STAGE = "specialist-sort-grpo"


def chosen(project: Path, **loggers: Any) -> Any:
    """The stage, in a project whose loggers are these."""
    declare(project, {**DECLARED, "loggers": loggers})
    return stages(project)[STAGE]


def told_to_dvclive(project: Path, name: str) -> dict[int, float]:
    """Step → what DVCLive was told of a figure."""
    (path,) = (project / "build/logs/dvclive").glob(f"specialist-sort-grpo-*/plots/metrics/{name}.tsv")
    rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines(), delimiter="\t"))
    assert len({row["step"] for row in rows}) == len(rows)
    return {int(row["step"]): float(row[name]) for row in rows}


def told_to_tensorboard(project: Path, name: str) -> dict[int, float]:
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    (folder,) = (project / "build/logs/tensorboard").glob("specialist-sort-grpo-*")
    accumulator = events.EventAccumulator(str(folder))
    accumulator.Reload()
    return {event.step: event.value for event in accumulator.Scalars(name)}


def curve(project: Path, name: str) -> dict[int, float]:
    """Step → the figure, by the stage's own curve."""
    with (project / "build/curves/sort-grpo.csv").open(encoding="utf-8") as file:
        return {number: float(row[name]) for number, row in enumerate(csv.DictReader(file), start=1)}


def test_a_logger_is_no_part_of_any_stage(project: Path) -> None:
    chosen(project)
    without = stages(project)
    chosen(project, tensorboard={}, wandb={"project": "mine", "offline": True})
    assert stages(project) == without
    assert list(read_loggers(project).chosen) == ["tensorboard", "wandb"]


def test_dvclive_is_told_what_the_curve_holds(project: Path) -> None:
    make(project, chosen(project, dvclive={}))
    assert told_to_dvclive(project, "reward") == pytest.approx(curve(project, "reward"), rel=1e-5)
    assert all(value > 0 for value in told_to_dvclive(project, "tokens_a_second").values())
    assert not list(project.glob("dvclive"))


def test_each_candidate_of_a_search_is_told_though_some_are_scored_together(project: Path) -> None:
    search = Es(type="es", items=8, steps=2, population=4, sigma=0.004, alpha=0.002, together=3)
    make(project, chosen(project, dvclive={}).model_copy(update={"method": search}))
    told = told_to_dvclive(project, "reward")
    assert list(told) == list(range(1, 9))
    assert told == pytest.approx(curve(project, "reward"), rel=1e-5)


def test_a_resumed_run_goes_on_in_the_same_curves(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = chosen(project, dvclive={})
    with monkeypatch.context() as patched:
        break_step(patched, 3, End(terminate, Interrupted))
        with pytest.raises(Interrupted):
            make(project, stage)
    assert len(told_to_dvclive(project, "reward")) < 6
    make(project, stage)
    assert told_to_dvclive(project, "reward") == pytest.approx(curve(project, "reward"), rel=1e-5)


def test_tensorboard_is_told_what_the_curve_holds(project: Path) -> None:
    pytest.importorskip("tensorboard")
    make(project, chosen(project, tensorboard={}))
    assert told_to_tensorboard(project, "loss") == pytest.approx(curve(project, "loss"), rel=1e-5, abs=1e-9)


def test_a_logger_that_fails_is_told_no_more(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    stage = stages(project)[STAGE]
    alone = make(project, stage)

    class Down(CSVLogger):
        def log_metrics(self, metrics: Any, step: int | None = None) -> None:
            raise ConnectionError("the server is down")

    def makes(*_: Any) -> list[Logger]:
        return [Down(tmp_path)]

    monkeypatch.setattr("thicket.loggers.make_loggers", makes)
    with_it = make(project, stage)
    assert all(alone[key].equal(with_it[key]) for key in alone)
    assert capsys.readouterr().out.count("Down is told no more: the server is down") == 1


def test_a_package_that_is_missing(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = chosen(project, wandb={}, dvclive={})
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ValueError, match="not installed: wandb; `pip install wandb`"):
        make(project, stage)


def test_params_that_are_being_edited(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "params.yaml").write_text("loggers: [", encoding="utf-8")
    assert not read_loggers(project).chosen
    assert "Note: figures are told to no logger: params.yaml:" in capsys.readouterr().out


def test_check_names_what_is_wrong_with_them(sample: Path, command: Command) -> None:
    with (sample / "params.yaml").open("a", encoding="utf-8") as file:
        file.write("loggers: {tensorbord: {}, wandb: {offline: maybe}}\n")
    said = command("check")
    assert said.status == 2
    assert "loggers.tensorbord: unknown key" in said.err
    assert "did you mean: tensorboard" in said.err
    assert "loggers.wandb.offline = 'maybe': wrong type: it is text" in said.err
