"""`thicket` by itself: where the project stands, and what can be done next."""

from collections.abc import Iterator
from pathlib import Path

from thicket.commands.status import GROUPS, as_dict, in_words
from thicket.config.places import PARAMS, REPORT
from thicket.config.problems import ConfigError
from thicket.config.project import Project
from thicket.plan.dvcfile import out_of_step
from thicket.plan.pipeline import pipeline
from thicket.plan.run_states import failed_words, stopped_words
from thicket.plan.state import State, states

WIDTH = 34
"""Columns of a command before what it does."""
SHOWN = 3
"""The most stages that are named of those that are to be made."""
Step = tuple[str, str]
"""A command, and what it does."""


def next_steps(root: Path) -> int:
    """Prints what can be done next, in a few lines."""
    said, steps = _where(root)
    print("\n".join([*said, "", "Next:", *(f"  {command:<{WIDTH}}  {what}" for command, what in steps)]))
    print("\n`thicket --help` lists all commands.")
    return 0


def _where(root: Path) -> tuple[list[str], list[Step]]:
    if not (root / PARAMS).is_file():
        return ["No experiment here: there is no params.yaml."], list(_from_nothing(root))
    project = Project(root)
    try:
        stages = pipeline(project)
    except ConfigError as error:
        count = len(error.problems)
        first = str(error.problems[0]).splitlines()[0]
        more = [f"(and {count - 1} more)"] if count > 1 else []
        return [f"The configuration has a problem: {first}", *more], [("thicket check", "says all that is wrong")]
    name = project.sound_params()[0].experiment
    if out_of_step(root, stages):
        said = f"{name}: dvc.yaml is out of step with params.yaml."
        return [said], [("thicket plan", "writes dvc.yaml, and estimates time, memory and disk")]
    found = states(root, stages)
    return [f"{name}: {in_words(found)}.", *_told(found)], list(_steps(root, found))


def _from_nothing(root: Path) -> Iterator[Step]:
    yield "thicket experiment", "what conf/experiment has"
    yield "thicket experiment use tiny", "writes params.yaml and dvc.yaml: runs on a laptop's CPU"
    if not (root / ".dvc").is_dir():
        yield _repository(root), "DVC builds the pipeline in a git repository"
    yield "thicket analyze divergence model_a=…", "measures any two models, without an experiment"


def _repository(root: Path) -> str:
    inside = any((folder / ".git").exists() for folder in (root, *root.parents))
    return "dvc init" if inside else "git init && dvc init"


def _told(found: list[State]) -> list[str]:
    """What runs and what failed, else what would be made first and why."""
    broken = [state for state in found if state.mark in ("running", "failed", "stopped")]
    if broken:
        alike: dict[str, list[State]] = {}
        for state in broken:
            alike.setdefault((state.record and state.record.mistake) or state.id, []).append(state)
        return [f"  {_named(ones)}: {_story(ones[0])}" for ones in list(alike.values())[:SHOWN]]
    first = [(state, state.why[0].kind) for state in found if state.why]
    changed = [state for state, kind in first if kind == "run" or (state.mark == "stale" and kind != "parent")]
    return [f"  {state.id} is {state.mark}: {_first(state)}" for state in changed[:SHOWN]]


def _named(found: list[State]) -> str:
    more = len(found) - SHOWN
    return f"{', '.join(state.id for state in found[:SHOWN])}{f' and {more} more' if more > 0 else ''}"


def _first(state: State) -> str:
    more = len(state.why) - 1
    return f"{state.why[0]}{f' and {more} more' if more else ''}"


def _story(state: State) -> str:
    if state.recording:
        return "made, being recorded by DVC"
    if state.mark == "running":
        progress = as_dict(state)["progress"] or {}
        share = progress.get("share")
        return "runs" if share is None else f"runs, {share:.0%}  {progress['figures']}"
    ended = failed_words if state.mark == "failed" else stopped_words
    return f"{ended(state.record)}  ({state.log})"


def _steps(root: Path, found: list[State]) -> Iterator[Step]:
    if not (root / ".dvc").is_dir():
        yield _repository(root), "DVC builds the pipeline in a git repository"
    marks = {state.mark for state in found}
    if "running" in marks:
        yield "thicket status", "how far it is"
        return
    if marks == {"done"}:
        yield from _with_results(found)
        return
    if any(state.restorable for state in found):
        yield "dvc checkout", "brings back what the cache holds"
    failed = [state for state in found if state.mark == "failed"]
    if failed:
        yield f"dvc repro {failed[0].id}", "tries again, from the last checkpoint"
    if "done" not in marks:
        yield "dvc repro", f"builds everything ({len(found)} stages; `thicket plan` says how long it takes)"
        first = next((state for state in found if state.planned.resolved.kind == "student"), found[-1])
        yield f"dvc repro {first.id}", "just this, and what it is made of"
        yield "thicket config show", "what a stage would run with"
        return
    yield "dvc repro", f"makes the {sum(state.mark != 'done' for state in found)} stages that are not done"
    yield "thicket status", "which they are, and why"


def _with_results(found: list[State]) -> Iterator[Step]:
    kinds = [(state.planned.resolved.kind, state.planned.resolved.stage) for state in found]
    students = [stage for kind, stage in kinds if kind in ("student", "specialist")]
    if any(kind in GROUPS for kind, _ in kinds):
        yield f"{REPORT}/index.html", "the report, for a browser"
    if students:
        model = next((stage for kind, stage in kinds if kind == "student"), students[0])
        yield f"thicket show {model.name}", "lineage, scores, ledger, config"
        yield f"thicket compare {getattr(model, 'base', '')} {model.name}", "paired differences, with intervals"
        yield f"thicket chat {model.name}", "talk to it"
        yield f"thicket export {model.name}", "a folder for the Hugging Face hub"
    yield "thicket tables --format latex", "scores and claims for a text"
    yield "dvc exp run -S seed=1", "all with another seed, and other items, as an experiment of DVC's"
