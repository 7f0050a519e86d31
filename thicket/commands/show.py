"""The command show: all about a model."""

from pathlib import Path
from typing import Any

from rich.text import Text
from rich.tree import Tree

from thicket.commands.models import models_of
from thicket.commands.scores import Pairs, paired
from thicket.commands.sides import Side, declared_member
from thicket.commands.status import about, as_dict
from thicket.config.places import EVALUATION, METRICS, MODELS, TIMES
from thicket.config.problems import dotted
from thicket.config.project import Project
from thicket.config.resolve import Resolved
from thicket.config.stages import EvaluateStage
from thicket.config.useful import USEFUL
from thicket.plan import console
from thicket.plan.inspect import DEFAULT, pick, values
from thicket.plan.pipeline import pipeline
from thicket.plan.state import State, states
from thicket.reporting.inputs import PASS_AT_1, interval_of
from thicket.reporting.jsonfile import plain
from thicket.reporting.results import GREEDY
from thicket.reporting.tables import marked
from thicket.reporting.text import duration, percent, percent_interval, points, points_interval, si
from thicket.times import UNKNOWN, read_times

SHORT = 12
"""Digits of a hash that are shown."""


def show(root: Path, model: str, as_json: bool) -> None:
    """Prints a model's state, lineage, scores, ledger and config. Raises: ConfigError where there is no such model."""
    project = Project(root)
    stages = pipeline(project)
    models = models_of(planned.resolved for planned in stages)
    resolved = pick(model, models, "model")
    state = next(state for state in states(root, stages) if state.id == resolved.id)
    facts = _facts(root, model, resolved, state)
    if as_json:
        base = root_of(model, models)
        against = _pairs(root, models[base], resolved, stages, project) if base != model else None
        lineage = {"base": base, "parents": parents_of(resolved), "domains": list(resolved.domains)}
        config = {dotted(path): value for path, value in values(resolved).items()}
        scored = {"scores": facts["scores"], "against_base": against.pairs if against else None}
        shown = {"name": model, "about": about(resolved.stage), "state": as_dict(state), "lineage": lineage}
        console.print_json(
            plain({**shown, **scored, **{key: facts[key] for key in ("ledger", "times", "origin")}, "config": config})
        )
        return
    print(f"{model}: {resolved.kind}, {about(resolved.stage)}")
    print(f"{state.mark}{': ' + ', '.join(map(str, state.why)) if state.why else ''}  ({state.planned.artifact})")
    if state.note:
        print(f"Note: {state.note}.")
    print("\nLineage")
    console.show(_tree(model, models))
    _print_scores(root, model, models, facts["scores"], stages, project)
    _print_ledger(facts)
    _print_config(resolved)


def parents_of(resolved: Resolved) -> list[str]:
    """The model that one started from, and its teachers."""
    stage: Any = resolved.stage
    start = [stage.base] if isinstance(getattr(stage, "base", None), str) else []
    return list(dict.fromkeys([*start, *(teacher.name for teacher in getattr(stage, "teachers", []))]))


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
        kept = ("seed", "config_hash", "weights", "parents", "data", "spent", "cost", "versions")
        found["origin"] = {key: made[key] for key in kept if key in made}
        found["times"] = read_times(root / TIMES / f"{name}.json", root / MODELS / name) or None
    return found


def _pairs(root: Path, base: Resolved, model: Resolved, stages: list[Any], project: Project) -> Pairs | None:
    scoring = next(one.resolved.stage for one in stages if isinstance(one.resolved.stage, EvaluateStage))
    domains = [domain.name for domain in scoring.domains]
    try:
        sides = [Side(made.stage.name, (declared_member(root, made),)) for made in (base, model)]
        return paired(sides[0], sides[1], domains, project.sound_params()[0].seed)
    except ValueError:
        return None


def _tree(name: str, models: dict[str, Resolved]) -> Tree:
    """The models that it is made of, below it."""

    def fill(branch: Tree, of: str) -> Tree:
        for parent in parents_of(models[of]):
            line = Text(parent, "bold").append(f"  {about(models[parent].stage)}", "not bold dim")
            fill(branch.add(line), parent)
        return branch

    return fill(
        Tree(Text(name, "bold").append(f"  {about(models[name].stage)}", "not bold dim"), guide_style="dim"), name
    )


def _print_scores(
    root: Path, name: str, models: dict[str, Resolved], scores: Any, stages: list[Any], project: Project
) -> None:
    print("\nScores, %")
    if not scores:
        print(f"None yet: `dvc repro evaluate-{name}` makes them.")
        return
    base = root_of(name, models)
    pairs = _pairs(root, models[base], models[name], stages, project) if base != name else None
    gaps = {pair.domain: pair.difference for pair in pairs.pairs if pair.figure == PASS_AT_1} if pairs else {}
    domains = scores["domains"]
    names = dict.fromkeys(key for one in domains.values() for key in one if key == GREEDY or key.startswith("pass@"))
    figures = [key for key in names if not key.endswith(("_low", "_high"))]
    against = [f"{PASS_AT_1} − {base}'s", ""] if gaps else []
    table = console.table("domain", *figures, *against, "tokens", "cut off", right=("tokens", "cut off"))
    for domain, found in domains.items():
        scored = [
            f"{percent((one := interval_of(found, key)).value)} {percent_interval(one)}" if key in found else "—"
            for key in figures
        ]
        gap = [f"{points(gaps[domain].value)} {points_interval(gaps[domain])}", marked(gaps[domain])] if gaps else []
        table.add_row(domain, *scored, *gap, f"{found['length']:.1f}", f"{percent(found['truncated'])} %")
    console.show(table)
    way, settings = scores["answering"], scores["settings"]
    samples = f"{settings['samples']} samples an item at temperature {way['temperature']:g}"
    voters = f"{way['members']} members" if way["members"] else f"{way['votes']}" if way["votes"] > 1 else ""
    print(f"{f'a vote of {voters} for each item' if voters else samples}, {settings['split']} items.")


def _print_ledger(facts: dict[str, Any]) -> None:
    ledger, origin = facts["ledger"], facts["origin"]
    if not ledger or not origin:
        return
    print("\nLedger")
    table = console.table("", "")
    table.show_header = False
    rows = {
        **_machines_rows(facts["times"]),
        "steps": str(ledger["steps"]),
        **_useful_row(ledger.get(USEFUL)),
        "tokens": f"{si(ledger['tokens_generated'])} generated, {si(ledger['tokens_trained'])} trained on",
        "FLOPs": f"{si(ledger['flops'])}; {si(sum(origin['cost'].values()))} with all that it rests on but bases",
        "weights": f"{origin['weights'][:SHORT]}, seed {origin['seed']}, config {origin['config_hash'][:SHORT]}",
    }
    for key, value in rows.items():
        table.add_row(key, value)
    console.show(table)


def _useful_row(share: float | None) -> dict[str, str]:
    return {} if share is None else {"useful": f"{percent(share)} % of the groups of rewards differ"}


def _machines_rows(times: dict[str, Any] | None) -> dict[str, str]:
    """What only the machine knows that made the model."""
    if not times:
        return {"made": f"{UNKNOWN}: when, where and how long only that machine can say where it was made"}
    phases = ", ".join(f"{phase} {duration(seconds)}" for phase, seconds in times["phase_seconds"].items() if seconds)
    return {
        "made": f"{times['finished']}, at commit {times['commit'] or '—'}",
        "on": times["device"],
        "time": duration(times["wall_seconds"]) + (f" ({phases})" if phases else ""),
        "memory": si(times["peak_memory_bytes"], "B"),
    }


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
