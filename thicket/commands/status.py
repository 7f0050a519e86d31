"""The command status: the pipeline as a tree, with what has been made of each stage."""

from pathlib import Path
from typing import Any

from rich.text import Text
from rich.tree import Tree

from thicket.commands.about import abouts
from thicket.config.places import PARAMS
from thicket.config.project import Project
from thicket.config.stages import BaseStage, SpecialistStage, StudentStage
from thicket.plan import console
from thicket.plan.dvcfile import out_of_step
from thicket.plan.needed import needed
from thicket.plan.pipeline import pipeline
from thicket.plan.run_states import failed_words, progress_words, stopped_words
from thicket.plan.state import MARKS, Mark, State, states

SIGNS: dict[Mark, tuple[str, str]] = {
    "done": ("✓", "green"),
    "running": ("▶", "cyan"),
    "failed": ("✗", "bold red"),
    "stopped": ("‖", "yellow"),
    "stale": ("~", "yellow"),
    "missing": ("·", "dim"),
}
"""A sign for each state, and its colour on a terminal."""
GROUPS = {"analyze": "analyses", "report": "report", "claims": "report"}
MODEL = BaseStage | SpecialistStage | StudentStage


def status(root: Path, names: list[str], as_json: bool) -> None:
    """Prints the state of every stage, or of those that some stages or models need.

    Raises: ConfigError where what is declared is not sound, and for a name that is none.
    """
    project = Project(root)
    stages = pipeline(project)
    found = states(root, needed(stages, names))
    in_step = not out_of_step(root, stages)
    experiment = project.sound_params()[0].experiment
    if as_json:
        console.print_json(
            {
                "experiment": experiment,
                "dvc_yaml_in_step": in_step,
                "counts": counts(found),
                "stages": [as_dict(state) for state in found],
            }
        )
        return
    console.show(tree(f"{experiment}, for {', '.join(names)}" if names else experiment, found))
    if not in_step:
        print(f"dvc.yaml is out of step with {PARAMS}: `thicket plan` writes it.")


def counts(found: list[State]) -> dict[str, int]:
    """State → how many stages are in it, without those that none is in."""
    marks = [state.mark for state in found]
    return {mark: marks.count(mark) for mark in MARKS if mark in marks}


def in_words(found: list[State]) -> str:
    """`20 stages: 18 done, 2 stale`."""
    return f"{len(found)} stages: {', '.join(f'{count} {mark}' for mark, count in counts(found).items())}"


def as_dict(state: State) -> dict[str, Any]:
    """A state for programs."""
    stage = state.planned.resolved.stage
    progress = None
    if state.mark == "running" and (record := state.record) and record.status == "running":
        figures = {"share": record.share, "figures": record.figures, "seconds_left": state.seconds_left}
        progress = {"pid": record.pid, "part": record.title, **figures}
    return {
        "stage": state.id,
        "kind": state.planned.resolved.kind,
        "name": stage.name,
        "state": state.mark,
        "why": [{"kind": w.kind, "what": w.what, "before": w.before, "after": w.after} for w in state.why],
        "parents": list(state.parents),
        "artifact": state.planned.artifact.as_posix(),
        "config": state.planned.config.as_posix(),
        "log": state.log.as_posix() if state.log else None,
        "message": state.record.message if state.record and state.mark == "failed" else None,
        "progress": progress,
        "recording": state.recording,
        "note": state.note or None,
    }


def tree(experiment: str, found: list[State]) -> Tree:
    """Domains; bases with what starts from them, each model with its scores; analyses; the report."""
    top = Tree(Text(f"{experiment}: {in_words(found)}"), guide_style="dim")
    by_id = {state.id: state for state in found}
    told = abouts((one.planned.resolved for one in found if isinstance(one.planned.resolved.stage, MODEL)), True)
    branches, noted = dict[str, Tree](), dict[str, str]()
    for state in found:
        stage, kind = state.planned.resolved.stage, state.planned.resolved.kind
        if kind == "data":
            branches.setdefault("domains", top.add("domains") if "domains" not in branches else branches["domains"])
            branches["domains"].add(_line(state, stage.name))
        elif isinstance(stage, MODEL):
            above = top if isinstance(stage, BaseStage) else branches[f"model {stage.base}"]
            scores = by_id.get(f"evaluate-{stage.name}")
            noted[stage.name] = scores.note if scores else ""
            known = "" if isinstance(stage, BaseStage) else noted[stage.base]
            branches[f"model {stage.name}"] = above.add(_line(state, stage.name, told[stage.name], scores, known))
        elif kind in GROUPS:
            group = GROUPS[kind]
            if group not in branches:
                branches[group] = top.add(group)
            branches[group].add(_line(state, stage.name))
    return top


def _line(state: State, name: str, detail: str = "", scores: State | None = None, known: str = "") -> Text:
    """`scores`: of a model; `known`: the note on those of the model above, which is not said twice."""
    line = Text()
    sign, style = SIGNS[state.mark]
    line.append(f"{sign} ", style).append(name, "bold" if detail else "")
    if detail:
        line.append(f"  {detail}", "dim")
    line.append_text(_words(state))
    if state.note:
        line.append(f"  {state.note}", SIGNS["failed"][1])
    if scores is not None:
        sign, style = SIGNS[scores.mark]
        line.append("  scores ", "dim").append(sign, style)
        # What follows from the model's own state goes without saying.
        own = [reason for reason in scores.why if reason.what != f"{state.id} is {state.mark}"]
        if scores.mark in ("running", "failed", "stopped") or (scores.mark != "done" and own and state.mark == "done"):
            line.append_text(_words(scores))
        if scores.note not in ("", known):
            line.append(f"  {scores.note}", SIGNS["stale"][1])
    return line


def _words(state: State) -> Text:
    told = words(state)
    return Text(f"  {told}", SIGNS[state.mark][1]) if told else Text()


def words(state: State) -> str:
    """What is to be said of a stage that is not done; empty where it goes without saying."""
    record = state.record
    if state.mark == "running":
        return "made, being recorded by DVC" if state.recording else progress_words(record)
    if state.mark == "failed":
        return f"{failed_words(record)}  ({state.log})"
    if state.mark == "stopped":
        does = "goes on" if state.resumes else "begins it anew: no checkpoint is there"
        return f"{stopped_words(record)}: `dvc repro {state.id}` {does}  ({state.log})"
    if state.mark == "stale" or (state.mark == "missing" and state.why[0].kind != "record"):
        return f"{state.mark}: {state.reasons}"
    return ""
