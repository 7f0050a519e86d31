"""The command show: all about a model."""

from pathlib import Path
from typing import Any

from rich.text import Text
from rich.tree import Tree

from thicket.commands.about import abouts
from thicket.commands.figures import ORIGIN, print_figures, print_ledger
from thicket.commands.models import aged, is_gone, models_of, outdated_words, scores_outdated
from thicket.commands.scores import Pairs, paired
from thicket.commands.show_run import show_folder
from thicket.commands.sides import Side, declared_member
from thicket.commands.status import as_dict
from thicket.config.merging import GreedySoup
from thicket.config.places import EVALUATION, METRICS, MODELS, TIMES
from thicket.config.problems import dotted
from thicket.config.project import Project
from thicket.config.resolve import Resolved
from thicket.config.stages import EvaluateStage, StudentStage
from thicket.plan import console
from thicket.plan.folders import declared_name, is_folder, within
from thicket.plan.inspect import DEFAULT, pick, values
from thicket.plan.pipeline import pipeline
from thicket.plan.state import State, states
from thicket.reporting.inputs import PASS_AT_1, read_curve
from thicket.reporting.jsonfile import plain
from thicket.reporting.kept import kept
from thicket.times import read_times


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
    project = Project(root)
    stages = pipeline(project)
    models = models_of(planned.resolved for planned in stages)
    resolved = pick(model, models, "model")
    state = next(state for state in states(root, stages) if state.id == resolved.id)
    facts, told = _facts(root, model, resolved, state), abouts(models.values())
    if as_json:
        base = root_of(model, models)
        against = _pairs(root, models[base], resolved, stages, project) if base != model else ""
        lineage = {"base": base, "parents": parents_of(resolved), "domains": list(resolved.domains)}
        lineage["left_out"] = _left_out(root, resolved)
        config = {dotted(path): value for path, value in values(resolved).items()}
        scored = {"scores": facts["scores"], "against_base": None if isinstance(against, str) else against.pairs}
        scored["scores_outdated"] = scores_outdated(root, model)
        shown = {"name": model, "about": told[model], "state": as_dict(state), "lineage": lineage}
        console.print_json(
            plain({**shown, **scored, **{key: facts[key] for key in ("ledger", "times", "origin")}, "config": config})
        )
        return
    print(f"{model}: {resolved.kind}, {told[model]}")
    print(f"{state.mark}{': ' + ', '.join(map(str, state.why)) if state.why else ''}  ({state.planned.artifact})")
    if state.note:
        print(f"Note: {state.note}.")
    print("\nLineage")
    told |= {name: f"{told[name]}  (left out)" for name in _left_out(root, resolved)}
    console.show(_tree(model, models, told))
    _print_scores(root, model, models, facts["scores"], stages, project)
    print_ledger(facts["ledger"], facts["origin"], facts["times"])
    _print_config(resolved)


def parents_of(resolved: Resolved) -> list[str]:
    """The model that one started from, and its teachers."""
    stage: Any = resolved.stage
    start = [stage.base] if isinstance(getattr(stage, "base", None), str) else []
    return list(dict.fromkeys([*start, *(teacher.name for teacher in getattr(stage, "teachers", []))]))


def _left_out(root: Path, resolved: Resolved) -> list[str]:
    """The teachers that a greedy soup did not keep, where it is made."""
    stage: Any = resolved.stage
    if not (isinstance(stage, StudentStage) and isinstance(stage.method, GreedySoup)):
        return []
    teachers = [teacher.name for teacher in stage.teachers]
    names = kept(teachers, read_curve(root, stage.name))
    return [name for name in teachers if names and name not in names]


def root_of(name: str, models: dict[str, Resolved]) -> str:
    """The base that a model goes back to."""
    base = getattr(models[name].stage, "base", None)
    return root_of(base, models) if isinstance(base, str) else name


def _facts(root: Path, name: str, resolved: Resolved, state: State) -> dict[str, Any]:
    """What its files say; None where they are not there."""
    paths = {
        "scores": root / EVALUATION / name / "metrics.json",
        "ledger": root / METRICS / f"{name}.json",
        "origin": root / MODELS / name / "provenance.json",
    }
    found = {key: console.read_json(path) if path.is_file() else None for key, path in paths.items()} | {"times": None}
    if made := found["origin"]:
        found["origin"] = {key: made[key] for key in ORIGIN if key in made}
        found["times"] = read_times(root / TIMES / f"{name}.json", root / MODELS / name) or None
    return found


def _pairs(root: Path, base: Resolved, model: Resolved, stages: list[Any], project: Project) -> Pairs | str:
    """The scores beside the base's; why they can't be compared, where they can't."""
    scoring = next(one.resolved.stage for one in stages if isinstance(one.resolved.stage, EvaluateStage))
    domains = [domain.name for domain in scoring.domains]
    try:
        sides = [Side(made.stage.name, (declared_member(root, made),)) for made in (base, model)]
        return paired(sides[0], sides[1], domains, project.sound_params()[0].seed)
    except ValueError as error:
        return str(error)


def _tree(name: str, models: dict[str, Resolved], told: dict[str, str]) -> Tree:
    """The models that it is made of, below it."""

    def fill(branch: Tree, of: str) -> Tree:
        for parent in parents_of(models[of]):
            line = Text(parent, "bold").append(f"  {told[parent]}", "not bold dim")
            fill(branch.add(line), parent)
        return branch

    return fill(Tree(Text(name, "bold").append(f"  {told[name]}", "not bold dim"), guide_style="dim"), name)


def _print_scores(
    root: Path, name: str, models: dict[str, Resolved], scores: Any, stages: list[Any], project: Project
) -> None:
    outdated = [one for one in dict.fromkeys((name, root_of(name, models))) if scores_outdated(root, one)]
    print(f"\n{aged('Scores, %', name in outdated, is_gone(root, name))}")
    if not scores:
        print(f"None yet: `dvc repro evaluate-{name}` makes them.")
        return
    base = root_of(name, models)
    pairs = _pairs(root, models[base], models[name], stages, project) if base != name else ""
    known = [] if isinstance(pairs, str) else [pair for pair in pairs.pairs if pair.figure == PASS_AT_1]
    print_figures(scores, {pair.domain: pair.difference for pair in known}, base)
    if isinstance(pairs, str) and pairs:
        print(f"Not held against {base}: {pairs}.")
    if outdated:
        print(outdated_words(root, outdated))


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
