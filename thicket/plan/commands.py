"""The commands check, plan and compose."""

import os
import shutil
from pathlib import Path

from thicket.config.places import BUILD, CONFIG, MODELS
from thicket.config.problems import ConfigError, Problem
from thicket.config.project import Project
from thicket.config.source import DatasetSource
from thicket.config.stages import DataStage, EvaluateStage, SpecialistStage, write_stage
from thicket.disk import explained, take_place, write_whole
from thicket.plan import console
from thicket.plan.by_hand import BY_DVC, check_no_repro
from thicket.plan.code import brought_along, code_of
from thicket.plan.dag import read_dag
from thicket.plan.dvcfile import dvcfile, out_of_step
from thicket.plan.dvclock import forget_removed, mend_lock, mend_rwlock
from thicket.plan.estimate import Estimate, Estimator, total
from thicket.plan.inputs import check_named, missing_files
from thicket.plan.pipeline import Planned, coded, pipeline
from thicket.plan.shapes import saved_shape
from thicket.plan.state import states
from thicket.plan.twice import declared_twice

FIGURES = ("time", "memory", "disk")
"""What `thicket plan` estimates of each stage."""
MINUTE, HOUR = 60, 3600
"""Seconds."""
HOURS = 2 * HOUR
"""From which on a time is told in hours."""


def check(root: Path, experiment: str | None = None) -> int:
    """Composes and validates everything that the pipeline would run, or would of an experiment of the library.

    Raises: ConfigError.
    """
    project = Project(root) if experiment is None else Project(root).experiment(experiment)
    stages = sound(project, bases_are_there=True)
    kinds = [planned.resolved.kind for planned in stages]
    counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
    of = "" if experiment is None else f" of {experiment}"
    print(f"All {len(stages)} stages{of} are sound: {counts}.")
    _note_all(project, stages)
    if experiment is None and out_of_step(root, stages):
        print("dvc.yaml is out of step with params.yaml: run `thicket plan`.")
    return 0


def plan(root: Path) -> int:
    """Writes dvc.yaml, and prints what each stage is expected to need, and those together that are not done.

    Raises: ConfigError where the configuration is not sound, or dvc.yaml would be another while a repro reads it.
    """
    project, built = Project(root), (root / BUILD).is_dir()
    # Maybe it is for a machine that has the bases. The code's hashes take a second, and tell what is done.
    stages = sound(project, bases_are_there=False, with_code=built)
    changed = out_of_step(root, stages)
    if changed:
        check_no_repro(root)
    _write(root, stages)
    _print_estimates(root, stages, _done(root, stages) if built else set())
    _note_all(project, stages)
    written = "written" if changed else "as it was"
    print(f"dvc.yaml is {written}: {len(stages)} stages, after compose. `dvc repro` builds what is not done.")
    return 0


def plan_again(root: Path) -> str:
    """Writes dvc.yaml where it is out of step with params.yaml; what became of its stages, or nothing.

    Raises: ConfigError.
    """
    project = Project(root)
    if not out_of_step(root, pipeline(project, with_code=False)):
        return ""
    stages = sound(project, bases_are_there=True)
    before = read_dag(root) if (root / "dvc.yaml").is_file() else {}
    _write(root, stages)
    now = read_dag(root)
    new, gone = [name for name in now if name not in before], [name for name in before if name not in now]
    lists = {"new": new, "no more": gone}
    told = "; ".join(f"{what}: {', '.join(names)}" for what, names in lists.items() if names)
    return f"dvc.yaml was out of step with params.yaml, and is planned anew ({told or 'of the same stages'})"


def _write(root: Path, stages: list[Planned]) -> None:
    """Writes dvc.yaml, and mends what DVC keeps beside it."""
    write_whole(root / "dvc.yaml", dvcfile(root, stages))
    mend_lock(root)
    mend_rwlock(root)
    forget_removed(root, ["compose", *(planned.resolved.id for planned in stages)])


def sound(project: Project, bases_are_there: bool, with_code: bool = False) -> list[Planned]:
    """The stages of a project.

    Raises: ConfigError with all that is wrong with their configs, or else with what these name, or else with a
    plug-in's code.
    """
    stages = pipeline(project, with_code=False)
    check_named(project.root, [planned.resolved for planned in stages], bases_are_there)
    if with_code:
        return coded(stages)
    for stage in (planned.resolved.stage for planned in stages):
        if brought_along(stage):  # thicket's own is sound.
            code_of(stage)
    return stages


def _note_all(project: Project, stages: list[Planned]) -> None:
    """Says what is allowed, and most likely not meant."""
    _note_missing(project, stages)
    _note_unscored(stages)
    _note_alike(stages)
    _note_twice(stages)


def _note_missing(project: Project, stages: list[Planned]) -> None:
    """Says which files have still to come: a project may be checked before its data is there."""
    for path, (stage, where) in missing_files(project.root, [planned.resolved for planned in stages]).items():
        print(f"Note: {path} is not there, which {stage} reads ({where}).")
    for package in project.sound_params()[0].loggers.missing:
        print(f"Note: {package} is not installed here, which `loggers` names: trainings would not start.")


def _note_unscored(stages: list[Planned]) -> None:
    """Says which specialists no evaluation asks about their own domain."""
    found = [planned.resolved.stage for planned in stages]
    scored = {domain.name for stage in found if isinstance(stage, EvaluateStage) for domain in stage.domains}
    for stage in found:
        if isinstance(stage, SpecialistStage) and scored and stage.domain.name not in scored:
            print(f"Note: {stage.name} is not scored on its domain {stage.domain.name}, which `domains` does not list.")


def _note_alike(stages: list[Planned]) -> None:
    """Says which templates give every row one text: a model may be to learn to refuse, or braces were forgotten."""
    for made in (planned.resolved for planned in stages):
        source = made.stage.domain.source if isinstance(made.stage, DataStage) else None
        for field, text in source.constants() if isinstance(source, DatasetSource) else ():
            where = made.layers.origin(("domain", "source", field))
            print(
                f"Note: domain {made.stage.name}: all rows have the same {field}, {text!r}, which names no column in "
                f"braces ({where})."
            )


def _note_twice(stages: list[Planned]) -> None:
    """Says which models would be made all over, and count as no other seed."""
    for name, first in declared_twice(planned.resolved.stage for planned in stages).items():
        print(f"Note: {name} is {first} under another name: it is made of equal values, with an equal seed.")


def compose(root: Path) -> int:
    """Writes build/config/: a resolved file for each stage.

    Raises: ConfigError where the configuration is not sound, or dvc.yaml is out of step with it.
    """
    project = Project(root)
    # By hand it may be for a machine that has the bases; what DVC runs next, it runs here.
    stages = sound(project, bases_are_there=BY_DVC in os.environ, with_code=True)
    if out_of_step(root, stages):
        wrong = "out of step with params.yaml: run `thicket plan`"
        raise ConfigError([Problem("dvc.yaml", "", "", wrong)])
    partial = root / CONFIG.with_name(f".{CONFIG.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    with explained(root / CONFIG):
        for planned in stages:
            write_stage(partial / planned.config.relative_to(CONFIG), planned.resolved.stage)
    take_place(partial, root / CONFIG)
    print(f"{CONFIG}: {len(stages)} resolved configs")
    _note_missing(project, stages)
    return 0


def _done(root: Path, stages: list[Planned]) -> set[str]:
    """The stages, with the hashes of their code, that DVC would not run."""
    try:
        return {state.id for state in states(root, stages) if state.mark == "done"}
    except ValueError as error:  # dvc.lock with the marks of a merge.
        print(f"Note: {error}; so all stages count as to do.")
        return set()


def _print_estimates(root: Path, stages: list[Planned], done: set[str]) -> None:
    estimator = Estimator(lambda name: saved_shape(root / MODELS / name))
    estimates = {planned.resolved.id: estimator.estimate(planned.resolved) for planned in stages}
    table = console.table("stage", *FIGURES, *(["done"] if done else []), right=FIGURES)
    for name, estimate in estimates.items():
        table.add_row(name, *_words(estimate), *(["✓"] if name in done else []))
    due = {name: estimate for name, estimate in estimates.items() if name not in done}
    if done:
        table.add_row(*_together(f"to do: {len(due)} of {len(estimates)} stages", due))
    table.add_row(*_together("all (memory: the most)", estimates))
    console.show(table)
    print("Estimates are for two CPU cores, from the configs; ? where these can't tell (a base that is not made yet).")


def _together(label: str, estimates: dict[str, Estimate]) -> tuple[str, ...]:
    """A row for several stages, of which those count that are known."""
    known = [estimate for estimate in estimates.values() if estimate.seconds is not None]
    unknown = len(estimates) - len(known)
    return label + (f", {unknown} unknown" if unknown else ""), *_words(total(known))


def _words(estimate: Estimate) -> tuple[str, str, str]:
    return _time(estimate.seconds), _size(estimate.memory_bytes), _size(estimate.disk_bytes)


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "?"
    if seconds < console.MINUTES:
        return f"{seconds:.0f} s"
    return f"{seconds / MINUTE:.0f} min" if seconds < HOURS else f"{seconds / HOUR:.1f} h"


def _size(count: float | None) -> str:
    return "?" if count is None else f"{count / 2**20:.1f} MiB" if count < 2**30 else f"{count / 2**30:.1f} GiB"
