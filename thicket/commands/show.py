"""The command show: all about a model."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.text import Text
from rich.tree import Tree

from thicket.commands.about import abouts
from thicket.commands.figures import facts, print_figures, print_ledger
from thicket.commands.models import aged, is_gone, models_of, outdated_words, parents_of, root_of, scores_outdated
from thicket.commands.scores import Pair, paired
from thicket.commands.show_run import show_folder
from thicket.commands.sides import Side, declared_member
from thicket.commands.stale_scores import stale_scores, stale_words
from thicket.commands.status import as_dict, words
from thicket.config.merging import GreedySoup
from thicket.config.places import CURVES, EVALUATION
from thicket.config.problems import dotted
from thicket.config.project import Project
from thicket.config.resolve import Resolved
from thicket.config.stages import EvaluateStage, StudentStage
from thicket.plan import console
from thicket.plan.folders import declared_name, is_folder, run_named, within
from thicket.plan.inspect import DEFAULT, pick, values
from thicket.plan.pipeline import pipeline
from thicket.plan.state import State, states
from thicket.reporting.inputs import PASS_AT_1, read_curve
from thicket.reporting.jsonfile import plain
from thicket.reporting.kept import kept
from thicket.stages.run import in_pipeline


@dataclass(frozen=True)
class _Shown:
    """A model of the project, and what is known of it."""

    resolved: Resolved
    models: dict[str, Resolved]
    """All that the project declares."""
    base: str
    """The base that it goes back to."""
    state: State
    facts: dict[str, Any]
    """What its files say: `scores`, `ledger`, `times` and `origin`."""
    pairs: list[Pair]
    """Its scores beside the base's, where they can be held against each other."""
    unpaired: str
    """Why they can't elsewhere; empty for a base, too."""
    stale: dict[str, list[str]]
    """Of it and the base, why scores are not those of now."""
    left_out: list[str]
    """The teachers that a greedy soup did not keep, where it is made."""

    @property
    def name(self) -> str:
        return self.resolved.stage.name


def show(root: Path, model: str, as_json: bool) -> None:
    """Prints a model's state, lineage, scores, ledger and config; of a folder, what became of the run or sweep in it.

    Raises: ConfigError where there is no such model, or nothing of this kind in the folder.
    """
    if is_folder(model):
        folder = within(root, root / model)
        if not (name := declared_name(root, folder)):
            show_folder(root, folder, as_json)
            return
        model = name
    shown = _known(root, model)
    if as_json:
        console.print_json(plain(_as_dict(root, shown)))
    else:
        _print(root, shown)


def _known(root: Path, name: str) -> _Shown:
    project = Project(root)
    stages = pipeline(project)
    models = models_of(planned.resolved for planned in stages)
    resolved = pick(name, models, "model", run_named(root, name))
    found, base = states(root, stages), root_of(name, models)
    state, stale = next(one for one in found if one.id == resolved.id), stale_scores(found, [name, base])
    pairs, unpaired = _against(root, models[base], resolved, stages, project) if base != name else ([], "")
    known = facts(in_pipeline(root, resolved.stage), root / EVALUATION / name)
    return _Shown(resolved, models, base, state, known, pairs, unpaired, stale, _left_out(root, resolved))


def _as_dict(root: Path, shown: _Shown) -> dict[str, Any]:
    resolved, known = shown.resolved, shown.facts
    lineage = {"base": shown.base, "parents": parents_of(resolved), "domains": list(resolved.domains)}
    return {
        "name": shown.name,
        "about": abouts(shown.models.values())[shown.name],
        "state": as_dict(shown.state),
        "lineage": {**lineage, "left_out": shown.left_out},
        "scores": known["scores"],
        "against_base": shown.pairs or None,
        "against_base_missing": shown.unpaired or None,
        "scores_outdated": scores_outdated(root, shown.name),
        "scores_stale": shown.stale.get(shown.name, []),
        "ledger": known["ledger"],
        "times": known["times"],
        "origin": known["origin"],
        "config": {dotted(path): value for path, value in values(resolved).items()},
    }


def _print(root: Path, shown: _Shown) -> None:
    told = abouts(shown.models.values())
    print(f"{shown.name}: {shown.resolved.kind}, {told[shown.name]}")
    print(_state_line(shown.state))
    if shown.state.note:
        print(f"Note: {shown.state.note}.")
    print("\nLineage")
    told |= {name: f"{told[name]}  (left out)" for name in shown.left_out}
    console.show(_tree(shown.name, shown.models, told))
    _print_scores(root, shown)
    print_ledger(shown.facts["ledger"], shown.facts["origin"], shown.facts["times"])
    _print_config(shown.resolved)


def _left_out(root: Path, resolved: Resolved) -> list[str]:
    stage: Any = resolved.stage
    if not (isinstance(stage, StudentStage) and isinstance(stage.method, GreedySoup)):
        return []
    teachers = [teacher.name for teacher in stage.teachers]
    names = kept(teachers, read_curve(root / CURVES / f"{stage.name}.csv"))
    return [name for name in teachers if names and name not in names]


def _state_line(state: State) -> str:
    """How far it is, or why it would be made; of its last run what became of that, where it broke off."""
    if state.mark in ("failed", "stopped"):
        return words(state)
    why = [words(state)] if state.mark == "running" else [str(reason) for reason in state.why]
    return f"{state.mark}{': ' if why else ''}{', '.join(why)}  ({state.planned.artifact})"


def _against(
    root: Path, base: Resolved, model: Resolved, stages: list[Any], project: Project
) -> tuple[list[Pair], str]:
    """The scores beside the base's; and of which domains there are none, with the reason."""
    scoring = next(one.resolved.stage for one in stages if isinstance(one.resolved.stage, EvaluateStage))
    domains = [domain.name for domain in scoring.domains]
    try:
        sides = [Side(made.stage.name, (declared_member(root, made),)) for made in (base, model)]
        found = paired(sides[0], sides[1], domains, project.sound_params()[0].seed)
        return found.pairs, found.missing
    except ValueError as error:
        return [], str(error).replace(f"{root}/", "")


def _tree(name: str, models: dict[str, Resolved], told: dict[str, str]) -> Tree:
    """The models that it is made of, below it."""

    def fill(branch: Tree, of: str) -> Tree:
        for parent in parents_of(models[of]):
            line = Text(parent, "bold").append(f"  {told[parent]}", "not bold dim")
            fill(branch.add(line), parent)
        return branch

    return fill(Tree(Text(name, "bold").append(f"  {told[name]}", "not bold dim"), guide_style="dim"), name)


def _print_scores(root: Path, shown: _Shown) -> None:
    name, base, scores = shown.name, shown.base, shown.facts["scores"]
    outdated = [one for one in dict.fromkeys((name, base)) if scores_outdated(root, one)]
    print(f"\n{aged('Scores, %', name in outdated, is_gone(root, name))}")
    if not scores:
        print(f"None yet: `dvc repro evaluate-{name}` makes them.")
        return
    print_figures(scores, {pair.domain: pair.difference for pair in shown.pairs if pair.figure == PASS_AT_1}, base)
    if shown.unpaired:
        print(f"Not held against {base}: {shown.unpaired}.")
    if outdated:
        print(outdated_words(root, outdated))
    for told in stale_words(shown.stale):
        print(told)


def _print_config(resolved: Resolved) -> None:
    """The values that somebody chose; the schema's own are left out."""
    print("\nConfig")
    table = console.table("", "", "")
    table.show_header = False
    chosen = {path: value for path, value in values(resolved).items() if path in resolved.layers.origins}
    for path, value in chosen.items():
        origin = resolved.layers.origins[path]
        if origin != DEFAULT and path not in (("name",), ("stage",)):
            table.add_row(dotted(path), console.as_json(value), origin)
    console.show(table)
    print(f"`thicket config show {resolved.id}` lists the defaults too.")
