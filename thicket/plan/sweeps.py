"""What has become of a sweep's runs, for whoever looks at its folder: while it runs, or after its command is gone."""

import shlex
from contextlib import suppress
from dataclasses import dataclass, replace
from glob import has_magic
from pathlib import Path
from typing import Any

from yaml import YAMLError

from thicket.config.overrides import COMMAND_LINE, combinations, parse
from thicket.config.places import RUNS
from thicket.config.problems import ConfigError, Problem, shown
from thicket.config.yamlfile import values_of
from thicket.plan.adhoc import Pairs, stage_from
from thicket.plan.console import read_json
from thicket.plan.folders import MULTIRUN, SOME_MODELS, is_sweep, model_folder, within
from thicket.plan.recorded import began
from thicket.plan.run_states import Mark, RunState, run_state
from thicket.plan.runs import BEGUN, INSIDE, RESULT, Run, best_run, by_domain, domains_of, measured
from thicket.stages.run import of_run, on_its_own

SWEEPS = RUNS / "sweeps"
OTHER_MACHINES = ("SlurmLauncher", "RayLauncher")
"""Launchers whose jobs may hold locks that this machine does not show."""
FIXED = ("hydra.sweep.dir=", "hydra.mode=")
"""Settings that are no part of what was asked for."""
GONE = "what it made is gone"
"""The error of a run that was done."""


@dataclass(frozen=True)
class SweepRun:
    """A run of a sweep; one that is not begun has overrides alone."""

    number: int
    run: Run
    state: RunState

    @property
    def ended(self) -> bool:
        """Whether it is done or has failed."""
        return self.state.mark == "done" or bool(self.run.error)


@dataclass(frozen=True)
class Sweep:
    """A sweep."""

    folder: Path
    """Relative to the project."""
    command: str
    """What does what is not done."""
    objective: str | None
    process: int | None
    """Its command; None: it is gone, or on another machine."""
    runs: list[SweepRun]

    @property
    def unfinished(self) -> bool:
        return any(one.state.mark != "done" for one in self.runs)

    @property
    def counts(self) -> dict[Mark, int]:
        """Mark → its runs, without marks that none has."""
        marks: list[Mark] = [one.state.mark for one in self.runs]
        return {mark: marks.count(mark) for mark in dict.fromkeys(marks)}


def read_sweep(root: Path, folder: Path) -> Sweep:
    """The sweep of a folder. Raises: ValueError or ConfigError where a file of it is broken."""
    path = root / folder / MULTIRUN
    try:
        hydra = values_of(path.read_text(encoding="utf-8"))["hydra"]
        given = dict(text.lstrip("+").split("=", 1) for text in hydra["overrides"]["task"])
        kind, objective = given["stage"], None if given["objective"] == "null" else given["objective"]
        settings = [text for text in hydra["overrides"]["hydra"] if not text.startswith(FIXED)]
        launcher, sweeper = (hydra[name]["_target_"] for name in ("launcher", "sweeper"))
    except (YAMLError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{path}: not what Hydra writes as a sweep begins; was it killed while it did?") from error
    texts = [f"{key.removeprefix(INSIDE)}={value}" for key, value in given.items() if key.startswith(INSIDE)]
    asked = [f"objective={objective}"] if objective else []
    command, process = shlex.join(["thicket", kind, "-m", *texts, *asked, *settings]), _process(path)
    read = _Reader(root, kind, objective, launcher.endswith(OTHER_MACHINES), going=process is not None)
    planned: dict[int, Pairs] = {}
    if sweeper.endswith("BasicSweeper"):
        planned = dict(enumerate(combinations(parse(texts)[0])))
    folders = {int(one.name): one for one in (root / folder).iterdir() if one.name.isdecimal()}
    runs = [
        SweepRun(number, *read.begun(folders[number], planned.get(number, [])))
        if number in folders
        else SweepRun(number, *read.not_begun(planned[number]))
        for number in sorted({*planned, *folders})
    ]
    return Sweep(folder, command, objective, process, runs)


@dataclass(frozen=True)
class _Reader:
    """Reads what became of a sweep's runs."""

    root: Path
    kind: str
    """The stage."""
    objective: str | None
    elsewhere: bool
    going: bool
    """The sweep's command is there."""

    def begun(self, folder: Path, pairs: Pairs) -> tuple[Run, RunState]:
        """Of the folder of a job, which has what it began with, and its result."""
        paths = folder / BEGUN, folder / RESULT
        begun, ended = (Run(**read_json(path)) if path.is_file() else None for path in paths)
        placed = next((run for run in (begun, ended) if run and run.artifact), None)
        found = self._found(placed) if placed else None
        if not ended:
            return found or (_run(pairs), RunState("running" if self.going else "stopped"))
        state = found[1] if found else RunState("failed")
        if found and state.mark == "done":  # Maybe by another, which has made what failed here.
            return found if ended.error else (ended, state)
        if ended.error:
            return ended, replace(state, mark="failed")
        again = state.mark == "running" or state.resumes
        return replace(ended, error=GONE), state if again else replace(state, mark="gone")

    def not_begun(self, pairs: Pairs) -> tuple[Run, RunState]:
        """Of an equal run, which the same command has made if it was given again; as long as it runs, it finds it."""
        with suppress(ConfigError):
            stage: Any = None if self.going else self._stage(pairs)
            artifact = on_its_own(self.root, stage).artifact if stage else None
            if artifact and artifact.parent.is_dir():
                placed = {"artifact": within(self.root, artifact), "domains": domains_of(self.root, stage)}
                return self._found(replace(_run(pairs), **placed))
        return _run(pairs), RunState("waiting")

    def _stage(self, pairs: Pairs) -> Any:
        return stage_from(self.root, self.kind, pairs).stage

    def _found(self, run: Run) -> tuple[Run, RunState]:
        state = run_state(self.root, run.artifact, self.elsewhere)
        if self.objective and state.mark == "done":
            with suppress(ValueError, OSError):  # Another machine has measured it, or its figures are gone.
                return measured(run, of_run(self.root / run.artifact), self.objective), state
        return run, state


def _run(pairs: Pairs) -> Run:
    return Run([f"{override.key}={value}" for override, value in pairs])


def _process(path: Path) -> int | None:
    """The sweep's command, whose number ends the name of the sweep's folder, where it is still there."""
    number = path.parent.name.rpartition("-")[2]
    pid = int(number) if number.isdecimal() else 0
    since: Any = began(pid)
    return pid if since is not None and since <= path.stat().st_mtime else None


# -- what its runs have made -------------------------------------------------------------------------------------------


def ended_runs(root: Path, folder: Path) -> list[Run]:
    """The runs of a sweep that are done, or have an error: they failed, or what they made is gone. None for a folder
    that is no sweep's.

    Raises: ConfigError where none of a sweep's has ended.
    """
    return [one.run for one in read_ended(root, folder).runs if one.ended] if is_sweep(folder) else []


def read_ended(root: Path, folder: Path) -> Sweep:
    """The sweep of a folder. Raises: ConfigError where none of its runs has ended."""
    own = within(root, folder)
    sweep = read_sweep(root, Path(own))
    if not any(one.ended for one in sweep.runs):
        wrong = f"none of this sweep's runs is done: `thicket show {own}` says how far they are"
        raise ConfigError([Problem(COMMAND_LINE, "model", shown(own), wrong)])
    return sweep


def one_model(root: Path, text: str) -> str:
    """The folder of a model, as `model_folder`. Raises: ConfigError where there is none: of a sweep it names the best.

    `text`: relative to the project where it lies in it.
    """
    if is_sweep(root / text):
        with suppress(ValueError):  # A sweep that can't be read has no best.
            if best := _best(read_sweep(root, Path(text))):
                wrong = f"a sweep: name one of its runs, which `thicket show {text}` lists; {best}"
                raise ConfigError([Problem(COMMAND_LINE, "model", shown(text), wrong)])
    return model_folder(root, text)


def _best(sweep: Sweep) -> str:
    """The best of a sweep's runs, of each domain that they are on, in words; empty where nothing tells it."""
    done = [one.run for one in sweep.runs if one.run.value is not None and not one.run.error]
    if not (objective := sweep.objective) or not done:
        return ""
    best = {domain: _model_of(best_run(alike, objective)) for domain, alike in by_domain(done).items()}
    named = (f"{artifact} on {domain}" if len(best) > 1 else artifact for domain, artifact in best.items())
    return f"by {objective} the best is {', '.join(named)}"


def _model_of(run: Run) -> str:
    """What a run has made; of an evaluation, the model that it scored."""
    asked = (text.partition("=") for text in run.overrides)
    return next((value for key, _, value in asked if key == "model"), run.artifact)


def model_folders(root: Path, text: str) -> list[str]:
    """Folders that a path or a pattern of paths means, relative to the project: those of a sweep's runs for a sweep.

    Raises: ConfigError where it is no folder with a model, or a sweep without one.
    """
    paths = sorted(_matching(root, text)) if has_magic(text) else [root / text]
    made = {path: [run.artifact for run in ended_runs(root, path) if not run.error] for path in paths}
    folders = [folder for path in paths for folder in (made[path] or [within(root, path)])]
    if not folders:
        own = within(root, Path(text))
        raise ConfigError([Problem(COMMAND_LINE, "model", shown(own), "no folder of this pattern", SOME_MODELS)])
    return list(dict.fromkeys(model_folder(root, folder, SOME_MODELS) for folder in folders))


def _matching(root: Path, text: str) -> list[Path]:
    return [path for path in (Path("/") if text.startswith("/") else root).glob(text.lstrip("/")) if path.is_dir()]
