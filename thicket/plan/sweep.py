"""Runs a stage from the command line: once, or as a sweep whose runs Hydra's multirun hands out."""

import logging
import os
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from thicket import ranks
from thicket.config.overrides import COMMAND_LINE, Override, combinations, parse
from thicket.config.places import RUNS
from thicket.config.problems import ConfigError, Problem, merged, nearest, printable, shown
from thicket.config.project import Project, packaged_conf
from thicket.config.resolve import Resolved
from thicket.config.yamlfile import YamlFile, read_yaml
from thicket.output import outlives_readers
from thicket.plan import ray_jobs
from thicket.plan.adhoc import inherited, stage_from
from thicket.plan.folders import MAKERS, is_folder
from thicket.plan.hydra_settings import CONFIG_NAME, OPTUNA, setting_problems
from thicket.plan.inputs import not_declared, not_made, of_earlier_weights, outdated
from thicket.plan.labelled import labelled
from thicket.plan.objective import SELECTION, direction, objectives, worst
from thicket.plan.pipeline import resolve
from thicket.plan.runs import BEGUN, INSIDE, Run, domains_of, measured, print_table, read_runs, write_run
from thicket.plan.state import remedies
from thicket.plan.sweeps import model_folders
from thicket.signals import TERMINATED, Interrupted, children_end_too, exit_at_sigterm
from thicket.stages.launch import TRACEBACK, in_words, run_one
from thicket.stages.run import made_before, on_its_own, run_stage

FULL_ERROR = "HYDRA_FULL_ERROR"


@outlives_readers()
def run(root: Path, kind: str, texts: list[str], multirun: bool) -> int:
    """Validates everything first, then runs. Raises: ConfigError with the problems of all combinations."""
    overrides, settings = parse(_folders_written_out(root, texts) if kind == "evaluate" else texts)
    asked = [override for override in overrides if override.key == "objective"]
    own = [override for override in overrides if override.key != "objective"]
    problems = setting_problems(settings) if multirun else _only_for_sweeps([*own, *asked], settings)
    if OPTUNA not in settings:
        wrong = f"an interval needs an optimiser: add {OPTUNA}"
        problems += [Problem(COMMAND_LINE, o.text, "", wrong) for o in own if o.interval and multirun]
    problems += [Problem(COMMAND_LINE, o.text, "", "a sweep has one objective") for o in asked if o.swept]
    stages: list[Resolved] = []
    combined = combinations(own)
    for pairs in combined:
        try:
            stages.append(stage_from(root, kind, pairs))
        except ConfigError as error:
            problems.extend(error.problems)
    if problems:
        raise ConfigError(merged(problems))
    _check_inputs(root, stages)
    if ranks.speaks():
        project = Project(root)
        told = (inherited(project, pairs, made) for pairs, made in zip(combined, stages, strict=True))
        for text in dict.fromkeys(filter(None, told)):
            print(f"Note: {text}.", flush=True)
    if multirun:
        return _sweep(root, kind, own, _objective(root, kind, asked, stages, settings), settings)
    stage: Any = stages[0].stage
    targets = on_its_own(root, stage)
    before = made_before(stage, targets)
    status = 0 if before else run_one(root, stage, targets)
    if status == 0 and ranks.speaks():
        print(f"{kind} {stage.name}: {targets.artifact.relative_to(root)}{' (made before)' if before else ''}")
    return status


def _folders_written_out(root: Path, texts: list[str]) -> list[str]:
    """`model=` with the folders that sweeps and patterns mean, as Hydra's grammar takes them. Raises: ConfigError."""
    written = []
    for text in texts:
        key, _, value = text.partition("=")
        if key == "model" and is_folder(value):
            parts = [model_folders(root, part) if is_folder(part) else [part] for part in value.split(",")]
            text = f"model={','.join(_plain_or_quoted(name) for names in parts for name in names)}"
        written.append(text)
    return written


def _plain_or_quoted(text: str) -> str:
    return text if re.fullmatch(r"[\w./-]+", text) else _quoted(text)


def _check_inputs(root: Path, stages: list[Resolved]) -> None:
    """A run on its own takes what is in build/, which an edited config or other code may have left behind: then it says
    so. Raises: ConfigError where it is not there."""
    if not ranks.speaks():
        return
    project = Project(root)
    declared, problems = resolve(project), []
    if unknown := list(dict.fromkeys(name for stage in stages for name in not_declared(root, declared, stage))):
        named, data = ", ".join(unknown), " ".join(f"data-{name}" for name in unknown)
        wrong = f"the data of {named} is not made: add {named} to it and run `thicket plan`, then `dvc repro {data}`"
        problems.append(Problem(project.params_layers.origin(("domains",)), "domains", "", wrong))
    if missing := list(dict.fromkeys(name for stage in stages for name in not_made(root, declared, stage))):
        wrong = f"it reads what is not here, or not whole: {remedies(root, missing)}"
        problems.append(Problem(COMMAND_LINE, "", "", wrong))
    if problems:
        raise ConfigError(problems)
    for name in dict.fromkeys(name for stage in stages for name in outdated(root, declared, stage)):
        print(f"Note: {name} was made with another config or other code: `dvc repro {name}` makes it anew.", flush=True)
    for name in dict.fromkeys(name for stage in stages for name in of_earlier_weights(root, stage)):
        print(f"Note: {name} scored earlier weights: `dvc repro {name}` scores those of now.", flush=True)


def _only_for_sweeps(overrides: list[Override], settings: list[str]) -> list[Problem]:
    swept = [override.text for override in overrides if override.swept]
    texts = {**dict.fromkeys(swept, "several values are a sweep: add -m")}
    texts |= dict.fromkeys(settings, "a setting of Hydra's is a sweep's: add -m")
    texts |= {o.text: "only a sweep has an objective: add -m" for o in overrides if o.key == "objective"}
    return [Problem(COMMAND_LINE, text, "", wrong) for text, wrong in texts.items()]


def _objective(root: Path, kind: str, asked: list[Override], stages: list[Resolved], settings: list[str]) -> str | None:
    """The figure that is looked at: the one asked for, else the stage's in conf/sweep.yaml. Raises: ConfigError."""
    file = _sweep_file(Project(root))
    declared = file.value.get("objectives", {}).get(kind)
    objective, where = (asked[0].values[0], asked[0].origin) if asked else (declared, file.origin(("objectives", kind)))
    known = [name for name in objectives(stages[0].stage) if all(name in objectives(made.stage) for made in stages)]
    if not asked and objective == SELECTION and SELECTION not in known:
        objective = None  # A merge without a choice has no selection.
    if objective is None and OPTUNA not in settings:
        return None
    if objective not in known:
        wrong = f"not a figure that every run of this sweep has ({kind})"
        close = nearest(objective, known)
        raise ConfigError([Problem(where, "objective", shown(objective), wrong, ", ".join(known), close)])
    return str(objective)


def _sweep_file(project: Project) -> YamlFile:
    """The project's conf/sweep.yaml, else thicket's. Raises: ConfigError where it says more than the objectives."""
    name = f"{CONFIG_NAME}.yaml"
    shipped = read_yaml(packaged_conf() / name, f"conf/{name}")
    own = project.library.root / name
    file = read_yaml(own, f"conf/{name}") if own.is_file() else shipped
    others = [key for key, value in file.value.items() if key != "objectives" and value != shipped.value.get(key)]
    wrong = "not to be changed: settings of Hydra's are given on the command line, hydra.…=VALUE"
    if others:
        raise ConfigError([Problem(file.origin((key,)), str(key), "", wrong, "objectives") for key in others])
    return file


def _sweep(root: Path, kind: str, overrides: list[Override], objective: str | None, settings: list[str]) -> int:
    """Hands the sweep to Hydra; each job writes its result beside Hydra's own files."""
    import hydra

    project = Project(root)
    folder = root / RUNS / "sweeps" / f"{datetime.now():%Y-%m-%d_%H-%M-%S-%f}"
    # With the project's folder: on another machine a launcher may start jobs anywhere.
    arguments = [f"hydra.sweep.dir={_quoted(str(folder.resolve()))}", f"+root={_quoted(str(root.resolve()))}"]
    arguments += [f"+stage={kind}", f"+objective={objective or 'null'}"]
    arguments.append(f"+swept=[{','.join(_quoted(override.key) for override in overrides if override.swept)}]")
    arguments += [f"++{INSIDE}{override.key}={override.text.partition('=')[2]}" for override in overrides]
    if OPTUNA in settings:
        import optuna

        optuna.logging.set_verbosity(logging.WARNING)
        arguments.append(f"hydra.sweeper.direction={direction(objective or '')}")
        if not any(text.startswith(("hydra/sweeper/sampler=grid", "hydra.sweeper.sampler.seed=")) for text in settings):
            arguments.append(f"hydra.sweeper.sampler.seed={project.sound_params()[0].seed}")
    failed = ""
    own = folder.relative_to(root)
    print(f"The sweep is {own}: `thicket show {own}` says how far its runs are.", flush=True)
    ending = ray_jobs.jobs_end_too(folder) if ray_jobs.SETTINGS.intersection(settings) else children_end_too()
    with _arguments(["thicket", "--multirun", *arguments, *settings]), _errors_come_through():
        try:
            with ending:
                hydra.main(str(packaged_conf().resolve()), CONFIG_NAME, version_base="1.3")(_job)()
        except SystemExit as left:
            if left.code == TERMINATED:
                print("Stopped by SIGTERM. The same command goes on from the last checkpoints.", file=sys.stderr)
            raise
        except Exception as error:  # A launcher that can't start, or has lost a job; what other jobs made is there.
            if os.environ.get(TRACEBACK):
                raise
            failed = f"{type(error).__name__}: {error}".splitlines()[0]  # Some bring the whole log of a job.
    runs = read_runs(folder)
    if failed:
        where = f"its logs, if there are any, are in {folder.relative_to(root)}"
        print(f"Error: the sweep {' '.join(settings)}: {printable(failed)} ({where})", file=sys.stderr)
        if not runs:
            return 1
    print_table(runs, objective)
    if kind in MAKERS and not all(one.error for one in runs):
        print(f"The sweep is {own}: `thicket compare` and `thicket evaluate -m model=…` take it.")
    return 1 if failed or not runs or any(one.error for one in runs) else 0


@contextmanager
def _errors_come_through() -> Iterator[None]:
    """Hydra tells errors in words of its own, with parts of tracebacks, unless this variable is set."""
    before = os.environ.get(FULL_ERROR)
    os.environ[FULL_ERROR] = "1"
    try:
        yield
    finally:
        os.environ.pop(FULL_ERROR)
        if before is not None:
            os.environ[FULL_ERROR] = before


def _quoted(text: str) -> str:
    """A text as Hydra's grammar takes it, whatever it holds."""
    escaped = text.replace("'", "\\'")
    return f"'{escaped}'"


@contextmanager
def _arguments(arguments: list[str]) -> Iterator[None]:
    """The process's arguments, which is where hydra.main looks."""
    before, sys.argv = sys.argv, arguments
    try:
        yield
    finally:
        sys.argv = before


@outlives_readers()
def _job(config: Any) -> float:
    """One run, as Hydra calls it; returns the objective, for sweepers that look for a best.

    A run that fails is the worst there is: the others go on.
    """
    from hydra.core.hydra_config import HydraConfig

    if os.environ.get("SUBMITIT_EXECUTOR") == "local":  # It would wait for the end of what it runs.
        exit_at_sigterm()
    job = HydraConfig.get()
    os.chdir(config.root)  # what a config names is relative to it
    texts = [text.removeprefix(f"++{INSIDE}") for text in job.overrides.task if text.startswith(f"++{INSIDE}")]
    print(f"run {job.job.num}: {' '.join(texts)}", flush=True)
    finished = Run(texts, error="stopped by SIGTERM")
    own, folder = Path(job.runtime.output_dir), Path(job.sweep.dir) if ray_jobs.runs(job.launcher) else None
    in_turn = job.launcher._target_.endswith(".BasicLauncher")
    with labelled("" if in_turn else " ".join(text for text in texts if text.partition("=")[0] in config.swept)):
        try:
            if folder is None:
                finished = _finished(config, texts, own)
            elif not ray_jobs.is_asked(folder):  # One that waited for a place does not begin.
                with ray_jobs.stops_when_asked(folder):
                    finished = _finished(config, texts, own)
        except Interrupted:
            raise SystemExit(TERMINATED) from None
        if finished.error:
            print(f"Error: {printable(finished.error)}", file=sys.stderr, flush=True)
    write_run(own, finished)
    return worst(config.objective or "") if finished.value is None else finished.value


def _finished(config: Any, texts: list[str], own: Path) -> Run:
    """Makes what a job is to make, and notes in its own folder that it begins; an error is its result.

    Raises: Interrupted.
    """
    root, objective, asked = Path(config.root), config.objective, Run(texts)
    try:
        stage: Any = stage_from(root, str(config.stage), combinations(parse(texts)[0])[0]).stage
        targets, asked = on_its_own(root, stage), replace(asked, domains=domains_of(root, stage))
        begun = replace(asked, artifact=str(targets.artifact.relative_to(root)))
        write_run(own, begun, BEGUN)
        if not made_before(stage, targets):
            run_stage(root, stage, targets)
        return measured(begun, targets, objective) if objective else begun
    except Interrupted:
        raise
    except ConfigError as error:
        return replace(asked, error=str(error))
    except Exception as error:
        if (text := in_words(error)) is None:
            traceback.print_exc()
        return replace(asked, error=text or f"{type(error).__name__}: {error}")
