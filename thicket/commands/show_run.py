"""The command show of a folder: a run that thicket started by itself, or how far the runs of a sweep are."""

from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from thicket.commands.about import about
from thicket.commands.figures import facts, print_figures, print_ledger
from thicket.commands.models import models_of
from thicket.commands.sides import Member, Sides
from thicket.commands.status import SIGNS
from thicket.config.problems import dotted
from thicket.config.project import Project
from thicket.config.resolve import Resolved
from thicket.config.stages import STAGE_TYPES
from thicket.plan import console
from thicket.plan.folders import SOME_MODELS, is_sweep, model_folder, run_artifact
from thicket.plan.inspect import differences, side_by_side, values
from thicket.plan.pipeline import resolve
from thicket.plan.run_states import WORDS, RunState, run_state, state_words
from thicket.plan.runs import AND, measure
from thicket.plan.sweeps import SWEEPS, Sweep, read_sweep
from thicket.reporting.jsonfile import plain
from thicket.stages.run import of_run


def show_folder(root: Path, folder: str, as_json: bool) -> None:
    """Prints what became of a run or a sweep. Raises: ConfigError where the folder is neither's, nor a model's."""
    if is_sweep(root / folder):
        _show_sweep(read_sweep(root, Path(folder)), as_json)
    elif Path(folder) == SWEEPS:
        names = sorted(path.name for path in (root / SWEEPS).glob("*/") if is_sweep(path))
        _show_sweeps([read_sweep(root, SWEEPS / name) for name in names], as_json)
    else:
        _show_run(root, _artifact(root, folder), as_json)


# -- a sweep -----------------------------------------------------------------------------------------------------------


def _show_sweep(sweep: Sweep, as_json: bool) -> None:
    if as_json:
        console.print_json(plain(_sweep_as_dict(sweep)))
        return
    print(f"{sweep.folder}: {_counted(sweep)}")
    table = console.table(
        "", "overrides", *([sweep.objective] if sweep.objective else []), "", "its folder, or its log"
    )
    first = sweep.runs[0].run.overrides if len(sweep.runs) > 1 else []
    shared = [text for text in first if all(text in one.run.overrides for one in sweep.runs)]
    for one in sweep.runs:
        value = [] if not sweep.objective else ["—" if one.run.value is None else f"{one.run.value:.4g}"]
        made = one.state.mark == "done"
        place = Path(one.run.artifact).parent.as_posix() if made else str(one.state.log or "")
        own = " ".join(text for text in one.run.overrides if text not in shared)
        table.add_row(str(one.number), own, *value, _words(one.state, one.run.error, figures=False), place)
    if shared:
        print(f"All have {' '.join(shared)}.")
    console.show(table)
    if sweep.objective and (by := measure([one.run for one in sweep.runs], sweep.objective)):
        print(f"The figure is {by}.")
    if sweep.process:
        print(f"Its command runs (process {sweep.process}).")
    elif sweep.unfinished:
        going = "what runs goes on without it; after that" if "running" in sweep.counts else "again"
        print(f"Its command does not run on this machine; {going}, it makes what is not done:\n  {sweep.command}")


def _show_sweeps(sweeps: list[Sweep], as_json: bool) -> None:
    if as_json:
        console.print_json(plain([_sweep_as_dict(sweep) for sweep in sweeps]))
        return
    table = console.table("", "", "")
    table.show_header = False
    for sweep in sweeps:
        table.add_row(str(sweep.folder), _counted(sweep), sweep.command)
    console.show(table)


def _counted(sweep: Sweep) -> str:
    marks = ", ".join(f"{count} {WORDS.get(mark, mark)}" for mark, count in sweep.counts.items())
    return f"{len(sweep.runs)} run{'s' if len(sweep.runs) > 1 else ''}: {marks}"


def _sweep_as_dict(sweep: Sweep) -> dict[str, Any]:
    runs = [
        {"number": one.number, "overrides": one.run.overrides, "value": one.run.value, "artifact": one.run.artifact}
        | {"domains": one.run.domains.split(AND) if one.run.domains else [], "scores": one.run.scores or None}
        | _state_as_dict(one.state, one.run.error)
        for one in sweep.runs
    ]
    known = {"sweep": sweep.folder.as_posix(), "command": sweep.command, "process": sweep.process}
    return {**known, "objective": sweep.objective, "counts": sweep.counts, "runs": runs}


# -- a run -------------------------------------------------------------------------------------------------------------


def _artifact(root: Path, folder: str) -> str:
    """What a run makes or has made, by the run's folder or its own. Raises: ConfigError where there is no such run."""
    return run_artifact(root, folder) or model_folder(root, folder, SOME_MODELS)


def _show_run(root: Path, artifact: str, as_json: bool) -> None:
    resolved = resolve(Project(root), with_code=False)
    models = models_of(resolved)
    member = Sides(root, models, resolved, Path()).of_folder(artifact)
    state, made, known = run_state(root, artifact), member.provenance, facts(of_run(root / artifact), member.scores)
    if as_json:
        config = {dotted(path): value for path, value in member.config.items()}
        lineage = {"parents": list(made.get("parents", {})), "domains": list(made.get("data", {}))}
        shown = {"name": member.name, "about": _about(made), "folder": artifact, **_state_as_dict(state)}
        console.print_json(plain({**shown, "lineage": lineage, **known, "config": config}))
        return
    print(f"{member.name}: {_about(made) or 'a run'}")
    print(f"{_words(state)}  ({artifact if state.mark == 'done' else state.log or artifact})")
    if state.mark in ("stopped", "gone"):
        does = "goes on from its last checkpoint" if state.resumes else "makes it anew"
        print(f"What started it, the same command again, {does}.")
    if state.mark != "done":
        return
    print(f"\nMade of: {', '.join(made.get('parents', {})) or '—'}")
    print("\nScores, %")
    if known["scores"]:
        print_figures(known["scores"], {}, "")
    else:
        print(f"None yet as params.yaml now says: `thicket evaluate model={artifact}` makes them.")
    print_ledger(known["ledger"], known["origin"], known["times"])
    _print_config(member, models)


def _about(made: dict[str, Any]) -> str:
    """What a model is, by its provenance; nothing where that is of another version of thicket."""
    kind = made.get("stage", "")
    with suppress(ValidationError, KeyError):
        return f"{kind}, {about(STAGE_TYPES[kind].model_validate(made['config']))}"
    return kind


def _print_config(member: Member, models: dict[str, Resolved]) -> None:
    """What tells its config from that of the declared model of its name."""
    name = member.provenance.get("name", "")
    if name not in models or not member.config:
        return
    print(f"\nConfig, where it is not that of {name} in params.yaml")
    differing = differences(values(models[name]), member.config)
    if differing:
        console.show(side_by_side(name, "this run", differing))
    else:
        print("No difference.")


# -- how far it is -----------------------------------------------------------------------------------------------------


def _words(state: RunState, error: str = "", figures: bool = True) -> str:
    sign = SIGNS["missing" if state.mark in ("waiting", "gone") else state.mark][0]
    return f"{sign} {state_words(state, error, figures)}"


def _state_as_dict(state: RunState, error: str = "") -> dict[str, Any]:
    record, progress = state.record, None
    if record and state.mark == "running":
        figures = {"share": record.share, "figures": record.figures, "seconds_left": record.left}
        progress = {"pid": record.pid, "part": record.title, **figures}
    message = (error or (record.message if record else "")) if state.mark == "failed" else None
    log = state.log.as_posix() if state.log else None
    resumes = state.resumes if state.mark == "stopped" else None
    return {"state": state.mark, "log": log, "message": message, "progress": progress, "resumes": resumes}
