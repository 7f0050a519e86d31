"""What has become of a sweep's runs, for whoever looks at its folder: while it runs, or after its command is gone."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from thicket.config.overrides import combinations, parse
from thicket.config.places import RUNS
from thicket.config.yamlfile import values_of
from thicket.plan.console import read_json
from thicket.plan.locks import held, is_locked
from thicket.plan.recorded import began
from thicket.plan.runs import BEGUN, INSIDE, RESULT, Run
from thicket.stages.run import lock_of
from thicket.standing import Record, log_of, read_record

SWEEPS = RUNS / "sweeps"
MULTIRUN = "multirun.yaml"
"""What Hydra writes as it begins."""
OTHER_MACHINES = ("SlurmLauncher", "RayLauncher")
"""Launchers whose jobs may hold locks that this machine does not show."""
FIXED = ("hydra.sweep.dir=", "hydra.mode=")
"""Settings that are no part of what was asked for."""

Mark = Literal["done", "running", "failed", "stopped", "waiting"]


@dataclass(frozen=True)
class Standing:
    """How far a run is that thicket started by itself, or how it ended."""

    mark: Mark
    record: Record | None = None
    log: Path | None = None
    """Relative to the project."""


@dataclass(frozen=True)
class SweepRun:
    """A run of a sweep; one that is not begun has overrides alone."""

    number: int
    run: Run
    standing: Standing


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
        return any(one.standing.mark != "done" for one in self.runs)

    @property
    def counts(self) -> dict[Mark, int]:
        """Mark → its runs, without marks that none has."""
        marks: list[Mark] = [one.standing.mark for one in self.runs]
        return {mark: marks.count(mark) for mark in dict.fromkeys(marks)}


def is_sweep(folder: Path) -> bool:
    """Whether a folder is that of a sweep."""
    return (folder / MULTIRUN).is_file()


def standing_of(root: Path, artifact: str, elsewhere: bool = False) -> Standing:
    """Of the run that makes an artifact in build/runs.

    `elsewhere`: it may run on a machine whose locks don't show here; then its own word counts.
    """
    path = root / artifact
    stage = f"{path.name}-{path.parent.name.rpartition('-')[0]}"
    record, log = read_record(path.parent, stage), log_of(path.parent, stage)
    known = record, log.relative_to(root) if log.is_file() else None
    if path.is_dir():
        return Standing("done", *known)
    if is_locked(lock_of(root, path, stage), held()) or (elsewhere and record and record.status == "running"):
        return Standing("running", *known)
    return Standing("failed" if record and record.status == "failed" else "stopped", *known)


def read_sweep(root: Path, folder: Path) -> Sweep:
    """The sweep of a folder. Raises: ValueError or ConfigError where a file of it is broken."""
    path = root / folder / MULTIRUN
    hydra = values_of(path.read_text(encoding="utf-8"))["hydra"]
    given = dict(text.lstrip("+").split("=", 1) for text in hydra["overrides"]["task"])
    texts = [f"{key.removeprefix(INSIDE)}={value}" for key, value in given.items() if key.startswith(INSIDE)]
    settings = [text for text in hydra["overrides"]["hydra"] if not text.startswith(FIXED)]
    objective = None if given["objective"] == "null" else given["objective"]
    asked = [f"objective={objective}"] if objective else []
    command = shlex.join(["thicket", given["stage"], "-m", *texts, *asked, *settings])
    elsewhere, process = hydra["launcher"]["_target_"].endswith(OTHER_MACHINES), _process(path)
    planned: dict[int, Run] = {}
    if hydra["sweeper"]["_target_"].endswith("BasicSweeper"):
        combined = enumerate(combinations(parse(texts)[0]))
        planned = {number: Run([f"{one.key}={value}" for one, value in pairs]) for number, pairs in combined}
    folders = {int(one.name): one for one in (root / folder).iterdir() if one.name.isdecimal()}
    runs = [
        SweepRun(number, *_run(root, folders[number], planned.get(number, Run([])), elsewhere, process is not None))
        if number in folders
        else SweepRun(number, planned[number], Standing("waiting"))
        for number in sorted({*planned, *folders})
    ]
    return Sweep(folder, command, objective, process, runs)


def _run(root: Path, folder: Path, planned: Run, elsewhere: bool, going: bool) -> tuple[Run, Standing]:
    """Of the folder of a job, which has what it began with, and its result; `going`: the sweep's command is there."""
    begun, ended = (Run(**read_json(path)) if path.is_file() else None for path in (folder / BEGUN, folder / RESULT))
    standing = standing_of(root, begun.artifact, elsewhere) if begun else Standing("running" if going else "stopped")
    if ended:
        return ended, Standing("failed" if ended.error else "done", standing.record, standing.log)
    return begun or planned, standing


def _process(path: Path) -> int | None:
    """The sweep's command, whose number ends the name of the sweep's folder, where it is still there."""
    number = path.parent.name.rpartition("-")[2]
    pid = int(number) if number.isdecimal() else 0
    since: Any = began(pid)
    return pid if since is not None and since <= path.stat().st_mtime else None
