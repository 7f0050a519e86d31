"""The command compare: two models by their scores, their configs and, where it was measured, their divergence."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thicket.commands.models import models_of
from thicket.commands.scores import Pairs, paired
from thicket.config.analysis import Divergence
from thicket.config.layers import Path_
from thicket.config.places import ANALYSIS, MODELS, RUNS
from thicket.config.problems import dotted
from thicket.config.project import Project
from thicket.config.resolve import Resolved
from thicket.config.stages import AnalyzeStage, EvaluateStage
from thicket.plan import console
from thicket.plan.inspect import NONE, differences, pick, side_by_side, values
from thicket.plan.pipeline import resolve
from thicket.reporting.gains import DOWN, UP
from thicket.reporting.jsonfile import plain
from thicket.reporting.tables import marked
from thicket.reporting.text import percent, percent_interval, points, points_interval

FIGURES = {
    "js_mean": "mean JS divergence, nats",
    "high_share": "share of positions where it is high",
    "argmax_same": "share where both have one likeliest token",
    "kl_other_base": "mean KL({1} ‖ {0}), nats",
}
"""Statistics of an analysis of divergence, and what they are."""


@dataclass(frozen=True)
class Measured:
    """An analysis of divergence of the two."""

    where: str
    models: list[str]
    """The base of the analysis, and the other."""
    statistics: list[dict[str, Any]]


def compare(root: Path, left: str, right: str, as_json: bool) -> None:
    """Prints what tells two models from one another. Raises: ConfigError where there is no such model."""
    project = Project(root)
    resolved = resolve(project, with_code=False)
    models = models_of(resolved)
    sides = [pick(name, models, "model") for name in (left, right)]
    scoring = next(made.stage for made in resolved if isinstance(made.stage, EvaluateStage))
    domains = [domain.name for domain in scoring.domains]
    try:
        pairs, missing = paired(root, left, right, domains, project.sound_params()[0].seed), ""
    except ValueError as error:
        pairs, missing = None, str(error)
    differing = differences(*map(values, sides))
    analyses = [made.stage for made in resolved if isinstance(made.stage, AnalyzeStage)]
    measured = list(_measured(root, left, right, analyses))
    command = f"thicket analyze divergence model_a={left} model_b={right} domain={domains[0]}"
    if as_json:
        config = [{"path": dotted(path), left: one, right: other} for path, one, other in differing]
        console.print_json(
            plain(
                {
                    "left": left,
                    "right": right,
                    "settings": pairs.settings if pairs else None,
                    "scores": pairs.pairs if pairs else None,
                    "scores_missing": missing or None,
                    "config": config if left != right else [],
                    "divergence": measured,
                    "divergence_command": None if measured else command,
                }
            )
        )
        return
    if pairs:
        _print_scores(left, right, pairs)
    else:
        print(f"No scores to compare: {missing}")
    _print_config(sides[0], sides[1], differing)
    print("\nDivergence")
    if measured:
        _print_divergence(measured)
    else:
        print(f"Not measured: `{command}` does it.")


def _print_scores(left: str, right: str, pairs: Pairs) -> None:
    table = console.table("score, %", "", left, right, f"{right} − {left}, points", "")
    for pair in pairs.pairs:
        scored = [f"{percent(one.value)} {percent_interval(one)}" for one in (pair.left, pair.right)]
        gap = f"{points(pair.difference.value)} {points_interval(pair.difference)}"
        table.add_row(pair.domain, pair.figure, *scored, gap, marked(pair.difference))
    console.show(table)
    settings = pairs.settings
    print(
        f"{settings['samples']} samples an item at temperature {settings['temperature']:g}, {settings['split']} items; "
        f"{100 * settings['confidence']:g} % intervals over items, paired. {UP} {DOWN}: the interval does not hold 0."
    )


def _print_config(left: Resolved, right: Resolved, differing: list[tuple[Path_, str, str]]) -> None:
    """What both have, with other values; what only one has is of its kind, and much."""
    shared = [one for one in differing if NONE not in one[1:] and one[0] != ("name",)]
    print("\nConfig")
    if shared:
        console.show(side_by_side(left.stage.name, right.stage.name, shared))
    if alone := sum(NONE in one[1:] for one in differing):
        listed = f"`thicket config diff {left.id} {right.id}` lists them"
        print(f"{alone} {'more ' if shared else ''}values that only one of the two kinds of stage has: {listed}.")
    elif not shared:
        print("No difference.")


def _measured(root: Path, left: str, right: str, analyses: list[AnalyzeStage]) -> Iterator[Measured]:
    """Of the pipeline, and of `thicket analyze` since the two were made."""
    folders = [
        root / ANALYSIS / stage.name
        for stage in analyses
        if isinstance(stage.analysis, Divergence) and {one.name for one in stage.models} == {left, right}
    ]
    made_at = [(root / MODELS / name / "provenance.json") for name in (left, right)]
    newest = max((path.stat().st_mtime for path in made_at if path.is_file()), default=0.0)
    own = sorted((root / RUNS / "analyze").glob("divergence-*/analyze"))
    folders += [folder for folder in own if folder.stat().st_mtime > newest]
    for folder in folders:
        path = folder / "result.json"
        found = console.read_json(path) if path.is_file() else {}
        if set(found.get("models", ())) == {left, right}:
            known = [one for one in found["statistics"] if one["name"] in FIGURES]
            yield Measured(folder.relative_to(root).as_posix(), found["models"], known)


def _print_divergence(measured: list[Measured]) -> None:
    table = console.table("", "domain", "responses", "value", "measured by")
    for one in measured:
        for found in one.statistics:
            value = "—" if found["value"] is None else f"{found['value']:.4g} [{found['low']:.4g}, {found['high']:.4g}]"
            author = f"by {one.models[found['of'] == 'along-other']}"
            table.add_row(FIGURES[found["name"]].format(*one.models), found["domain"], author, value, one.where)
    console.show(table)
