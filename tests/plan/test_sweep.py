"""`thicket STAGE -m …`: every combination runs once, a failure stops nothing, and the table is best first."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from commands import Command
from toys import DECLARED, VALUES, declare, toy_project

from thicket import signals
from thicket.cli import main
from thicket.config.policy_gradient import Dapo, Grpo
from thicket.config.problems import shown
from thicket.config.stages import AnyStage, EvaluateStage, SpecialistStage, StudentStage
from thicket.plan import hydra_settings, sweep, sweeps
from thicket.plan.folders import made_for
from thicket.plan.labelled import labelled
from thicket.plan.objective import COSTS, SELECTION, direction, worst
from thicket.plan.runs import Run, best_first, by_setting, read_runs
from thicket.signals import Interrupted
from thicket.stages.run import Targets

FAILS, BREAKS, STOPS = 7, 8, 9
"""Numbers of steps with which the stub of a training fails, breaks, or is stopped by SIGTERM."""


def stub(root: Path, stage: AnyStage, targets: Targets) -> None:
    """In place of a training: a ledger that says what it was asked for."""
    targets.artifact.mkdir(parents=True)
    if isinstance(stage, EvaluateStage):
        scores = {domain.name: {"pass@1": place / 4} for place, domain in enumerate(stage.domains)}
        (targets.artifact / "metrics.json").write_text(json.dumps({"domains": scores}))
        return
    if isinstance(stage, StudentStage):
        return
    assert isinstance(stage, SpecialistStage)
    assert isinstance(stage.method, Grpo | Dapo)
    if stage.method.steps == FAILS:
        targets.artifact.rmdir()
        raise ValueError("the loss is not a number")
    if stage.method.steps == BREAKS:
        targets.artifact.rmdir()
        raise RuntimeError("out of memory")
    if stage.method.steps == STOPS:
        targets.artifact.rmdir()
        raise Interrupted
    lr = stage.method.optimizer.lr
    figures = {SELECTION: 1 - abs(lr - 0.01), **dict.fromkeys(COSTS, lr), "flops": float(stage.method.steps)}
    targets.metrics.write_text(json.dumps(figures))


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of toy sizes, which is the working folder, whose stages are stubs."""
    monkeypatch.setattr(sweep, "run_stage", stub)
    monkeypatch.setattr(sweep, "not_made", lambda *_: [])
    root = toy_project(tmp_path / "toy")
    monkeypatch.chdir(root)
    return root


def rows(out: str) -> list[list[str]]:
    """The lines of the table, split into words."""
    table = out.partition("best first")[2].partition(":\n")[2]
    return [line.split() for line in table.splitlines()[1:] if re.match(r"(\d+ |  )", line)]


def test_every_combination_best_first(toy: Path, command: Command) -> None:
    said = command("specialist", "-m", "domain=sort,reverse", "method.optimizer.lr=1e-4,1e-2,1", "method=grpo")
    assert (said.status, said.err) == (0, "")
    assert "6 runs of method=grpo, best first in each domain:" in said.out, "what all have is said once"
    found = rows(said.out)
    best = [["1", "method.optimizer.lr=0.01", "1"], ["2", "method.optimizer.lr=0.0001", "0.9901"]]
    best.append(["3", "method.optimizer.lr=1", "0.01"])
    assert [row[:3] for row in found] == [["on", "sort"], *best, ["on", "reverse"], *best]
    made = [row[3] for row in found if row[0] != "on"]
    assert all((toy / folder).is_dir() for folder in made)
    assert len(set(made)) == 6


def test_a_run_alone_says_all_that_it_was_given(toy: Path, command: Command) -> None:
    assert rows(command("specialist", "-m", "domain=sort", "seed=3").out)[0][:3] == ["1", "domain=sort", "seed=3"]


def test_runs_of_two_domains_by_their_models_names(toy: Path, command: Command) -> None:
    said = command("specialist", "-m", "name=sort-grpo,reverse-grpo", "method.optimizer.lr=1e-4,1e-2")
    assert [row[:2] for row in rows(said.out)][::3] == [["on", "sort"], ["on", "reverse"]]


def test_settings_by_the_mean_over_their_seeds(toy: Path, command: Command) -> None:
    said = command("specialist", "-m", "domain=sort", "method.optimizer.lr=1e-4,1e-2", "method=grpo", "seed=0,1")
    assert "4 runs of domain=sort method=grpo, best first by the mean over seeds:" in said.out
    found = rows(said.out)
    assert [row[:3] for row in found[::3]] == [
        ["1", "method.optimizer.lr=0.01", "1"],
        ["2", "method.optimizer.lr=0.0001", "0.9901"],
    ]
    assert [row[:2] for row in found[1:3]] == [["seed=0", "1"], ["seed=1", "1"]]
    assert (toy / found[1][2]).is_dir()


def test_hydra_leaves_its_files_in_build_alone(toy: Path, command: Command) -> None:
    before, arguments = {path.name for path in toy.iterdir()}, list(sys.argv)
    assert command("specialist", "-m", "domain=sort").status == 0
    assert {path.name for path in toy.iterdir()} - before == {"build"}
    (folder,) = (toy / "build/runs/sweeps").iterdir()
    assert {path.name for path in folder.iterdir()} == {"0", "multirun.yaml"}
    assert sorted(path.name for path in (folder / "0").iterdir()) == ["begun.json", "result.json"]
    assert sys.argv == arguments


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("sweep", "hydra: {callbacks: {own: {_target_: pathlib.Path.touch, self: made}}}"),
        ("hydra/launcher/own", "_target_: pathlib.Path.touch"),
        ("hydra/job_logging/none", "root: {handlers: [own]}\nhandlers: {own: {(): pathlib.Path}}"),
    ],
)
def test_a_projects_conf_names_no_code_to_hydra(toy: Path, command: Command, name: str, text: str) -> None:
    path = toy / "conf" / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    said = command("specialist", "-m", "domain=sort", *(["hydra/launcher=own"] if "launcher" in name else []))
    if name == "sweep":
        assert (said.status, said.out) == (2, "")
        assert said.err.startswith(
            "conf/sweep.yaml:1: hydra: not to be changed: settings of Hydra's are given on the c"
        )
    elif "launcher" in name:
        assert (said.status, said.out) == (2, "")
        assert "command line: hydra/launcher=own: Hydra and its plug-ins that are installed have no such" in said.err
    else:  # conf/sweep.yaml names it, and Hydra has one itself.
        assert said.status == 0


def test_a_projects_conf_need_not_say_what_is_compared(toy: Path, command: Command) -> None:
    (toy / "conf/sweep.yaml").unlink()
    assert "selection_pass@1" in command("specialist", "-m", "domain=sort", "method.steps=2,3").out
    (toy / "conf/sweep.yaml").write_text("objectives: {specialist: flops}\n", encoding="utf-8")
    assert "flops" in command("specialist", "-m", "domain=sort", "method.steps=2,3").out


def test_secrets_of_the_environment_stay_there(toy: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    for texts in (["method.steps=${oc.env:SECRET_TOKEN}"], ["-m", "domain.stop=${oc.env:SECRET_TOKEN},x"]):
        said = command("specialist", "domain=sort", *texts)
        assert said.status == 2
        assert "interpolations (${…}) are not resolved here" in said.err
        assert "hunter2" not in said.out + said.err


def test_from_a_folder_below(toy: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    (toy / "notes").mkdir()
    monkeypatch.chdir(toy / "notes")
    assert command("specialist", "-m", "domain=sort").status == 0
    assert not list((toy / "notes").iterdir())


def test_an_equal_run_is_found_again(toy: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    first = command("specialist", "-m", "domain=sort", "method.steps=2,3")
    monkeypatch.delattr(sweep, "run_stage")
    assert rows(command("specialist", "-m", "domain=sort", "method.steps=2,3").out) == rows(first.out)


def test_what_a_declared_model_brings_along_is_told(toy: Path, command: Command) -> None:
    """The run of a method takes what is set for the one declared model of it: the other methods' do not."""
    own = {"base": "tiny", "domain": "sort", "method": "grpo", "set": {"method.optimizer.lr": 6e-4, "method.kl": 0.1}}
    declare(toy, DECLARED | {"specialists": {"mine": own}, "students": {}})
    line = next(n for n, text in enumerate((toy / "params.yaml").read_text().splitlines(), 1) if "lr: 0.0006" in text)
    told = f"from params.yaml:{line}, method.kl=0.1 from params.yaml:{line + 1} (mine).\n"
    said = command("specialist", "-m", "base=tiny", "domain=sort", "method=grpo,dapo", "method.steps=2,3")
    assert (said.status, said.out.count("Note: ")) == (0, 1)
    assert said.out.startswith(f"Note: grpo on sort takes method.optimizer.lr=0.0006 {told}The sweep is ")
    said = command("specialist", "-m", "domain=sort", "method.optimizer.lr=1e-4,2e-4", "method.kl=0")
    assert "Note: " not in said.out, "all is said on the command line"


def test_its_own_base_effort_and_seed_are_told(toy: Path, command: Command) -> None:
    declared = {"base": "big", "domain": "sort", "method": "grpo", "effort": "high", "seed": 5}
    bases = {"tiny": {"base": "tiny"}, "big": {"base": "tiny", "seed": 1}}
    efforts: dict[str, Any] = {
        "sort": {**VALUES["domain"]["sort"], "efforts": {"high": {"window": {"prompt": 16, "response": 9}}}}
    }
    values = {**VALUES, "domain": {**VALUES["domain"], **efforts}}
    declare(toy, DECLARED | {"bases": bases, "specialists": {"mine": declared}, "students": {}, "values": values})
    lines = (toy / "params.yaml").read_text().splitlines()
    said = command("specialist", "-m", "domain=sort", "method.steps=2,3")
    places = {
        key: f"params.yaml:{1 + lines.index(f'    {key}: {declared[key]}')}" for key in ("base", "effort", "seed")
    }
    told = ", ".join(f"{key}={shown(declared[key])} from {place}" for key, place in places.items())
    assert said.out.startswith(f"Note: grpo on sort takes {told} (mine).\n")
    said = command("specialist", "-m", "base=tiny", "domain=sort", "effort=high", "seed=0,1", "method.steps=2")
    assert (said.status, "Note: " in said.out) == (0, False), "all is said on the command line"


def test_less_of_a_cost_is_better(toy: Path, command: Command) -> None:
    said = command("specialist", "-m", "domain=sort", "method.steps=5,2,3", "objective=flops")
    assert [row[1:3] for row in rows(said.out)] == [[f"method.steps={n}", str(n)] for n in (2, 3, 5)]


@pytest.mark.parametrize(
    ("steps", "reason"), [(FAILS, "the loss is not a number"), (BREAKS, "RuntimeError: out of memory")]
)
def test_the_others_finish(toy: Path, command: Command, steps: int, reason: str) -> None:
    said = command("specialist", "-m", "domain=sort", f"method.steps=2,{steps},3", "method.optimizer.lr=0.01")
    assert said.status == 1
    assert rows(said.out)[2][1:3] == [f"method.steps={steps}", "—"]
    assert [row[2] for row in rows(said.out)][:2] == ["1", "1"]
    assert f"failed: {reason}" in said.out
    assert f"Error: {reason}\n" in said.err
    assert ("Traceback" in said.err) == (steps == BREAKS)


def test_sigterm_ends_the_sweep(toy: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    # The processes below this one are verifiers' workers of other tests: in their boxes they take a minute to end.
    monkeypatch.setattr(signals, "_listening", lambda process: set())
    said = command("specialist", "-m", "domain=sort", f"method.steps={STOPS},2")
    assert said.status == 143
    assert "run 1" not in said.out


def test_a_reader_that_goes_away_ends_no_run(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`thicket specialist -m … | head`."""
    reads, writes = os.pipe()
    os.close(reads)
    with os.fdopen(writes, "w", encoding="utf-8") as unread:
        monkeypatch.setattr(sys, "stdout", unread)
        assert main(["specialist", "-m", "domain=sort", "method=grpo", "method.steps=5,6"]) == 0
    assert len(list(toy.glob("build/runs/specialist/*/specialist"))) == 2
    assert all(not one.error for one in read_runs(next(toy.glob("build/runs/sweeps/*"))))


def test_what_became_of_its_runs(toy: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """One is done, one has failed, one was stopped and the last did not begin: by its folder alone."""
    monkeypatch.setattr(signals, "_listening", lambda process: set())
    monkeypatch.setattr(sweeps, "began", lambda _: None)
    asked = ["specialist", "-m", "domain=sort", f"method.steps=2,{FAILS},{STOPS},3", "method.optimizer.lr=0.01"]
    assert command(*asked).status == 143
    (folder,) = (path.relative_to(toy).as_posix() for path in (toy / "build/runs/sweeps").iterdir())
    found = json.loads(command("show", folder, "--json").out)
    assert found["counts"] == {"done": 1, "failed": 1, "stopped": 1, "waiting": 1}
    assert [run["overrides"][1] for run in found["runs"]] == [f"method.steps={n}" for n in (2, FAILS, STOPS, 3)]
    assert (found["runs"][0]["value"], found["runs"][1]["message"]) == (1.0, "the loss is not a number")
    assert (found["process"], found["objective"]) == (None, SELECTION)
    lines = command("show", folder).out.splitlines()
    assert lines[0] == f"{folder}: 4 runs: 1 done, 1 failed, 1 broke off, 1 not begun"
    assert lines[-1].strip() == found["command"] == shlex.join(["thicket", *asked, f"objective={SELECTION}"])
    assert command("show", "build/runs/sweeps").out.startswith(f"{folder}  4 runs: 1 done")
    shutil.rmtree(toy / found["runs"][0]["artifact"])
    again = json.loads(command("show", folder, "--json").out)
    assert (again["counts"], again["runs"][0]["value"]) == ({"gone": 1, "failed": 1, "stopped": 1, "waiting": 1}, 1.0)
    assert command("compare", folder, "tiny").err.count("none of its runs has a model") == 1
    monkeypatch.setattr(sweeps, "began", lambda _: 0.0)
    assert command("show", folder).out.splitlines()[-1].startswith("Its command runs (process ")


def test_a_sweep_that_another_has_finished(toy: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first was stopped at its second run; the same command, given again, has made all but the one that fails."""
    monkeypatch.setattr(signals, "_listening", lambda process: set())
    monkeypatch.setattr(sweeps, "began", lambda _: None)
    monkeypatch.setattr(sys.modules[__name__], "STOPS", 3)
    asked = ["specialist", "-m", "domain=sort", f"method.steps=2,3,4,{FAILS}", "method.optimizer.lr=0.01"]
    assert command(*asked).status == 143
    (folder,) = (path.relative_to(toy).as_posix() for path in (toy / "build/runs/sweeps").iterdir())
    assert json.loads(command("show", folder, "--json").out)["counts"] == {"done": 1, "stopped": 1, "waiting": 2}
    monkeypatch.setattr(sys.modules[__name__], "STOPS", 9)
    time.sleep(1)  # Sweeps of one process are told apart by their seconds.
    assert command(*asked).status == 1
    found = json.loads(command("show", folder, "--json").out)
    assert [run["state"] for run in found["runs"]][:3] == ["done", "done", "done"]
    assert [run["value"] for run in found["runs"]] == [1.0, 1.0, 1.0, None]
    assert len(sweeps.ended_runs(toy, toy / folder)) == 3


def test_a_merge_without_a_choice_has_no_objective(toy: Path, command: Command) -> None:
    students = {"soup": {"base": "tiny", "method": "soup", "teachers": ["sort-grpo", "reverse-grpo"]}}
    declare(toy, DECLARED | {"students": students})
    said = command("student", "-m", "name=soup", "seed=1,2")
    assert (said.status, said.err) == (0, "")
    assert "2 runs of name=soup:\n" in said.out
    said = command("student", "-m", "name=soup", "seed=1,2", f"objective={SELECTION}")
    assert (said.status, "not a figure that every run of this sweep has (student)" in said.err) == (2, True)


def test_evaluations_compare_the_mean_over_domains(toy: Path, command: Command) -> None:
    said = command("evaluate", "-m", "model=tiny,opd")
    assert "2 runs, best first by the mean pass@1 over sort and reverse:" in said.out
    assert [row[1:5] for row in rows(said.out)] == [
        ["model=tiny", "0.125", "0", "0.25"],
        ["model=opd", "0.125", "0", "0.25"],
    ]


def made_with(root: Path, folder: str, **config: Any) -> str:
    """Writes what says how the model of a folder was made."""
    (root / folder).mkdir(parents=True)
    (root / folder / "provenance.json").write_text(json.dumps({"name": "it", "config": config}))
    return folder


def test_evaluations_compare_what_the_models_are_made_for(toy: Path, command: Command) -> None:
    for name in ("sort", "reverse"):
        made_with(toy, f"build/models/{name}-grpo", domain={"name": name})
    said = command("evaluate", "-m", "model=tiny,sort-grpo,reverse-grpo")
    assert "3 runs, best first by pass@1 on what each model is made for:" in said.out
    assert [row[:5] for row in rows(said.out)] == [
        ["on", "sort,", "reverse"],
        ["1", "model=tiny", "0.125", "0", "0.25"],
        ["on", "sort"],
        ["1", "model=sort-grpo", "0", "0", "0.25"],
        ["on", "reverse"],
        ["1", "model=reverse-grpo", "0.25", "0", "0.25"],
    ]
    folder = made_with(toy, "build/runs/specialist/reverse-1/specialist", domain={"name": "reverse"})
    said = command("evaluate", "-m", f"model=reverse-grpo,{folder}", "seed=0,1")
    assert "4 runs, best first by pass@1 on reverse, the mean over seeds:" in said.out
    assert [row[0:5] for row in rows(said.out)][:2] == [
        ["1", "model=reverse-grpo", "0.25", "0", "0.25"],
        ["seed=0", "0.25", "0", "0.25", rows(said.out)[1][4]],
    ]
    said = command("evaluate", "-m", "model=sort-grpo", "domains=[reverse]")
    assert "\n1 run, best first:\n" in said.out
    (run,) = rows(said.out)
    assert run[1:-1] == ["model=sort-grpo", "domains=[reverse]", "0"], "of what is scored there is no other"


def test_a_student_is_made_for_its_teachers_domains(toy: Path) -> None:
    made_with(toy, "build/models/sort-grpo", domain={"name": "sort"})
    soup = [{"name": "sort-grpo", "domain": "sort"}, {"name": "opd", "domain": None}]
    made_with(toy, "build/models/opd", domains=[{"name": "sort"}, {"name": "odd"}], teachers=[])
    assert made_for(toy, made_with(toy, "build/models/soup", domains=[], teachers=soup)) == ["sort", "odd"]
    assert made_for(toy, made_with(toy, "build/models/tiny", base={"steps": 1})) == []
    assert made_for(toy, made_with(toy, "build/models/other", domain="sort")) == [], "another version's"
    assert made_for(toy, "elsewhere") == []


def test_a_sweep_of_evaluations_says_what_it_goes_by(toy: Path, command: Command) -> None:
    folders = [
        made_with(toy, f"build/runs/specialist/reverse-{number}/specialist", domain={"name": "reverse"})
        for number in range(2)
    ]
    assert command("evaluate", "-m", f"model={','.join(folders)}").status == 0
    (folder,) = (path.relative_to(toy).as_posix() for path in (toy / "build/runs/sweeps").iterdir())
    assert "The figure is pass@1 on reverse." in command("show", folder).out.splitlines()
    (run, _) = json.loads(command("show", folder, "--json").out)["runs"]
    assert (run["value"], run["domains"], run["scores"]) == (0.25, ["reverse"], {"sort": 0.0, "reverse": 0.25})
    assert f"; by pass@1 the best is {folders[0]}\n" in command("export", folder).err, "a model, and no scores"


@pytest.mark.parametrize(
    ("asked", "takes"),
    [
        (["evaluate", "-m", "model=tiny,opd"], False),
        (["specialist", "-m", "domain=sort", f"method.steps=2,{FAILS}"], True),
        (["specialist", "-m", "domain=sort", f"method.steps={FAILS}"], False),
    ],
)
def test_commands_that_take_a_sweep_are_named_where_there_are_models(
    toy: Path, command: Command, asked: list[str], takes: bool
) -> None:
    assert ("`thicket compare` and `thicket evaluate -m model=…` take it" in command(*asked).out) == takes


def test_all_is_checked_before_anything_runs(toy: Path, command: Command) -> None:
    said = command("specialist", "-m", "domain=sort", "method.optimizer.lr=1e-4,0,-1")
    assert (said.status, said.out) == (2, "")
    assert said.err.count("out of range") == 2
    assert not (toy / "build").exists()


# -- other sweepers and launchers --------------------------------------------------------------------------------------


# Optuna 2.10 and its plugin speak to older versions of their own dependencies.
optuna = pytest.mark.filterwarnings("ignore")


@optuna
@pytest.mark.parametrize(("objective", "best"), [(SELECTION, 1.0), ("flops", 2.0)])
def test_optuna_looks_for_what_the_objective_says(toy: Path, command: Command, objective: str, best: float) -> None:
    arguments = ["domain=sort", "method.optimizer.lr=choice(1e-4,1e-2)", "method.steps=choice(2,3)"]
    search = ["hydra/sweeper=optuna", "hydra/sweeper/sampler=grid", "hydra.sweeper.n_trials=4"]
    said = command("specialist", "-m", *arguments, *search, f"objective={objective}")
    assert said.status == 0
    (results,) = toy.glob("build/runs/sweeps/*/optimization_results.yaml")
    found = yaml.safe_load(results.read_text())
    assert found["best_value"] == best
    assert float(rows(said.out)[0][3]) == best
    assert len(rows(said.out)) == 4


@optuna
def test_optuna_draws_from_an_interval_with_the_seed(toy: Path, command: Command) -> None:
    search = ["hydra/sweeper=optuna", "hydra.sweeper.n_trials=3", "method.optimizer.lr=interval(1e-4,1e-2)"]
    said = command("specialist", "-m", "domain=sort", *search)
    assert said.status == 0, said.err
    rates = [float(row[1].partition("=")[2]) for row in rows(said.out)]
    assert len(set(rates)) == 3
    assert all(1e-4 <= rate <= 1e-2 for rate in rates)
    again = command("specialist", "-m", "domain=sort", *search)
    assert rows(again.out) == rows(said.out)


@optuna
def test_optuna_goes_on_after_a_failure(toy: Path, command: Command) -> None:
    search = ["hydra/sweeper=optuna", "hydra/sweeper/sampler=grid", "hydra.sweeper.n_trials=2"]
    said = command("specialist", "-m", "domain=sort", f"method.steps=choice({FAILS},2)", *search)
    assert said.status == 1
    (results,) = toy.glob("build/runs/sweeps/*/optimization_results.yaml")
    assert yaml.safe_load(results.read_text())["best_params"] == {"++run.method.steps": 2}


@pytest.mark.parametrize(
    ("package", "settings"),
    [
        ("hydra_joblib_launcher", ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]),
        ("hydra_submitit_launcher", ["hydra/launcher=submitit_local"]),
        ("hydra_ray_launcher", ["hydra/launcher=ray_local", "+hydra.launcher.ray.init.num_cpus=2"]),
    ],
)
def test_launchers_run_in_processes_of_their_own(tmp_path: Path, package: str, settings: list[str]) -> None:
    pytest.importorskip(f"hydra_plugins.{package}")
    toy = toy_project(tmp_path / "it's, a toy")  # a folder that Hydra's grammar has to be told in quotes
    arguments = ["data", "-m", "domain=sort,reverse", *settings]
    done = subprocess.run(
        [sys.executable, "-m", "thicket.cli", *arguments], cwd=toy, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"^1  domain=sort +build/runs/data/sort-\w{8}/data *$", done.stdout, re.MULTILINE)
    assert re.search(r"^2  domain=reverse +build/runs/data/reverse-\w{8}/data *$", done.stdout, re.MULTILINE)
    assert len(list(toy.glob("build/runs/data/*/data/train.jsonl"))) == 2
    if package == "hydra_joblib_launcher":  # The others keep what a job prints, or print it behind its number.
        for domain in ("sort", "reverse"):
            assert f"\ndomain={domain}: data {domain}: 24 items in train\n" in done.stdout


def test_each_line_of_a_run_beside_others_names_it_and_is_written_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    terminal = SimpleNamespace(write=written.append, flush=lambda: None, isatty=lambda: True)
    monkeypatch.setattr(sys, "stdout", terminal)
    with labelled("seed=1"):
        print("a", "b")
        print("c\nd", end="")
        assert written == ["seed=1: a b\n", "seed=1: c\n"]
        assert not sys.stdout.isatty(), "a live line would write over those of others"
    assert (sys.stdout, written[2:]) == (terminal, ["seed=1: d\n"])
    with labelled(""):
        assert sys.stdout is terminal


def test_the_option_for_slurm_queues_again(toy: Path) -> None:
    """Composed as Hydra would for a sweep; there is no SLURM here to ask."""
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    from hydra import compose, initialize_config_dir

    with initialize_config_dir(str(toy / "conf"), version_base="1.3"):
        settings = ["hydra/launcher=slurm", "hydra.launcher.partition=gpu", "hydra.launcher.gpus_per_node=1"]
        launcher = compose("sweep", settings, return_hydra_config=True).hydra.launcher
    assert launcher._target_.endswith("SlurmLauncher")
    assert (launcher.partition, launcher.gpus_per_node, launcher.max_num_timeout) == ("gpu", 1, 100)


@pytest.mark.parametrize(("option", "address"), [("ray_local", "local"), ("ray_cluster", "auto")])
def test_the_options_for_ray_say_which(toy: Path, option: str, address: str) -> None:
    pytest.importorskip("hydra_plugins.hydra_ray_launcher")
    from hydra import compose, initialize_config_dir

    with initialize_config_dir(str(toy / "conf"), version_base="1.3"):
        launcher = compose("sweep", [f"hydra/launcher={option}"], return_hydra_config=True).hydra.launcher
    assert launcher.ray.init.address == address
    # Its own default, which the launcher sets where the key is not there, is refused by a Ray that runs already.
    assert ("object_store_memory" in launcher.ray.init) == (option == "ray_cluster")


def test_what_is_not_installed_is_named(toy: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hydra_settings, "find_spec", lambda name: None)
    said = command("specialist", "-m", "domain=sort", "hydra/launcher=slurm", "hydra/launcher=ray")
    assert said.status == 2
    assert "thicket's extra `slurm` has it" in said.err
    assert "thicket's extra `ray` has it" in said.err


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            ["hydra/launcher=basik", "hydra.job.nmae=x"],
            [
                "command line: hydra/launcher=basik: Hydra and its plug-ins that are installed have no such option\n",
                "    did you mean: basic\n",
                "command line: hydra.job.nmae=x: Hydra has no such setting\n",
                "    did you mean: name\n",
                "2 problems on the command line.",
            ],
        ),
        (["hydra.launcher.n_jobs=2"], ["command line: hydra.launcher.n_jobs=2: Hydra has no such setting\n"]),
        (["hydra.job.chdir=x"], ["command line: hydra.job.chdir=x: Hydra refuses it: Value 'x' is not a valid bool"]),
    ],
)
def test_settings_that_hydra_does_not_know(toy: Path, command: Command, settings: list[str], words: list[str]) -> None:
    """In the words that any other mistake is told in, before anything runs."""
    said = command("specialist", "-m", "domain=sort", *settings)
    assert (said.status, said.out) == (2, "")
    assert [word for word in words if word not in said.err] == []


def test_a_launcher_that_can_not_start_is_told_in_a_line(
    toy: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hydra.core.plugins import Plugins

    def refused(*_: Any, **__: Any) -> Any:
        raise RuntimeError("no queue\nhere")

    monkeypatch.setattr(Plugins, "instantiate_sweeper", refused)
    monkeypatch.setattr(sweep, "_check_inputs", lambda *_: None)
    said = command("specialist", "-m", "domain=sort", "hydra.job.num=1")
    assert said.status == 1
    assert said.out.startswith("The sweep is build/runs/sweeps/")
    assert said.out.count("\n") == 1, "no table of no runs"
    assert said.err.startswith("Error: the sweep hydra.job.num=1: RuntimeError: no queue (its logs, if there are any, ")
    assert said.err.count("\n") == 1
    assert "HYDRA_FULL_ERROR" not in os.environ


# -- pieces ------------------------------------------------------------------------------------------------------------


def test_order_of_runs() -> None:
    runs = [Run(["a"], 0.2), Run(["b"], None, error="no"), Run(["c"], 0.9), Run(["d"], 0.2)]
    assert [one.overrides[0] for one in best_first(by_setting(runs), SELECTION)] == ["c", "a", "d", "b"]
    assert [one.overrides[0] for one in best_first(by_setting(runs), "flops")] == ["a", "d", "c", "b"]


def test_a_lucky_seed_is_not_the_best_setting() -> None:
    lucky = [Run(["a", "seed=0"], 0.9), Run(["a", "seed=1"], 0.1), Run(["a", "seed=2"], None, error="no")]
    steady = [Run(["b", f"seed={seed}"], 0.6) for seed in range(3)]
    settings = best_first(by_setting([*lucky, *steady]), SELECTION)
    assert [(one.overrides, one.value, len(one.runs)) for one in settings] == [
        (["b"], pytest.approx(0.6), 3),
        (["a"], pytest.approx(0.5), 3),
    ]


def test_the_worst_is_worse_than_anything() -> None:
    assert direction(SELECTION) == direction("pass@8") == "maximize"
    assert {direction(cost) for cost in COSTS} == {"minimize"}
    assert worst(SELECTION) < -1e300
    assert worst("flops") > 1e300
