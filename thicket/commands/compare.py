"""The command compare: models, or several seeds of each, by their scores, configs and, where measured, divergence."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from thicket.commands.differing import differing_code, differing_inputs, listed
from thicket.commands.models import models_of
from thicket.commands.score_table import print_scores, seeds_of
from thicket.commands.scores import Pairs, paired, unscored
from thicket.commands.seeds import check_seeds, once
from thicket.commands.sides import Member, Side, Sides
from thicket.commands.stale_scores import stale_scores, stale_words
from thicket.config.analysis import Divergence
from thicket.config.layers import Path_
from thicket.config.places import ANALYSIS, EVALUATION, MODELS, RUNS
from thicket.config.problems import dotted
from thicket.config.project import Project
from thicket.config.stages import AnalyzeStage, EvaluateStage
from thicket.plan import console
from thicket.plan.inspect import NONE, differences, side_by_side
from thicket.plan.pipeline import pipeline
from thicket.plan.state import State, states
from thicket.reporting.jsonfile import plain
from thicket.reporting.text import joined, si

FIGURES = {
    "js_mean": "mean JS divergence, nats",
    "high_share": "share of positions where it is high",
    "argmax_same": "share where both have one likeliest token",
    "kl_other_base": "mean KL({1} ‖ {0}), nats",
}
"""Statistics of an analysis of divergence, and what they are."""
NAMED = 12
"""The most values of one side alone that are named."""
SEVERAL = "several"
"""Stands for a value on which the models of a side don't agree."""


@dataclass(frozen=True)
class Measured:
    """An analysis of divergence of the two."""

    where: str
    models: list[str]
    """The base of the analysis, and the other."""
    statistics: list[dict[str, Any]]


def compare(root: Path, sides: list[str], as_json: bool) -> None:
    """Prints what tells models, or groups of them, from the first one. Raises: ConfigError where there is none such."""
    with TemporaryDirectory() as scratch:
        _compare(root, sides, as_json, Path(scratch))


def _compare(root: Path, sides: list[str], as_json: bool, scratch: Path) -> None:
    project = Project(root)
    stages = pipeline(project)
    resolved = [planned.resolved for planned in stages]
    reader = Sides(root, models_of(resolved), resolved, scratch)
    read = reader.read(sides)
    check_seeds(read)
    read = list(map(once, read))
    scoring = next(made.stage for made in resolved if isinstance(made.stage, EvaluateStage))
    domains = [domain.name for domain in scoring.domains]
    first, *others = read
    found = states(root, stages)
    stale = _stale(found, read)
    old = stale_scores(found, [member.name for side in read for member in side.members if member.stage])
    try:
        seed = project.sound_params()[0].seed
        compared = [paired(first, other, domains, seed) for other in others]
        apart = str(unscored(read) or "; ".join(dict.fromkeys(one.missing for one in compared)))
        missing = "" if any(one.pairs for one in compared) else apart
    except ValueError as error:
        compared, missing = [], str(error).replace(f"{scratch}/", "").replace(f"{root}/", "")
    analyses = [made.stage for made in resolved if isinstance(made.stage, AnalyzeStage)]
    divergence = _Divergence(root, analyses, domains[0], read)
    if as_json:
        _print_json(root, read, compared, missing, divergence, stale, old, reader.notes)
        return
    _print_members(read)
    for note in reader.notes:
        print(note)
    if missing:
        print(f"No scores to compare: {missing}")
    else:
        print_scores(root, read, compared, domains)
    for state in stale:
        name = state.planned.resolved.stage.name
        again = f"`dvc repro evaluate-{name}` makes it anew, and scores that"
        print(f"{name} is {state.mark} ({state.reasons}): what is said here is of the one that was made; {again}.")
    for words in stale_words(old):
        print(words)
    _print_costs(read)
    if len(read) == 2:
        _print_config(root, first, others[0])
        divergence.print()


def _stale(found: list[State], sides: list[Side]) -> list[State]:
    """The models that params.yaml, inputs or code would by now make others of, as far as DVC knows what made them."""
    made = {member.stage for side in sides for member in side.members if member.provenance}
    return [state for state in found if state.id in made and state.why and state.why[0].kind != "record"]


def _print_json(
    root: Path,
    sides: list[Side],
    compared: list[Pairs],
    missing: str,
    divergence: "_Divergence",
    stale: list[State],
    old: dict[str, list[str]],
    notes: list[str],
) -> None:
    first, second = sides[:2]
    differing = differences(first.config, second.config) if first.label != second.label else []
    with_others = zip(sides[1:], compared, strict=False)
    console.print_json(
        plain(
            {
                "left": first.label,
                "right": second.label,
                "settings": next((one.settings for one in compared if one.pairs), None),
                "scores": None if missing else compared[0].pairs,
                "scores_missing": missing or None,
                "left_out": compared[0].left_out if compared else [],
                "config": [
                    {"path": dotted(path), first.label: one, second.label: other} for path, one, other in differing
                ],
                "inputs": differing_inputs(root, first, second),
                "code": differing_code(first, second),
                "stale": {state.planned.resolved.stage.name: list(map(str, state.why)) for state in stale},
                "scores_stale": old,
                "divergence": divergence.measured,
                "divergence_command": None if divergence.measured else divergence.command,
                "sides": [
                    {
                        "label": side.label,
                        "models": list(map(_as_dict, side.members)),
                        "same_weights": side.same,
                        "runs_without_model": side.lacking,
                        "runs_not_made": side.unmade,
                    }
                    for side in sides
                ],
                "sweeps_not_done": notes,
                "comparisons": [
                    {
                        "right": side.label,
                        "paired_by_seed": pairs.by_seed,
                        "scores": pairs.pairs,
                        "left_out": pairs.left_out,
                        "remedy": pairs.remedy or None,
                    }
                    for side, pairs in with_others
                ],
            }
        )
    )


def _as_dict(member: Member) -> dict[str, Any]:
    scores = f"{member.revision}:{EVALUATION}/{member.scores.name}" if member.revision else str(member.scores)
    return {
        "model": member.given,
        "seed": member.seed,
        "scores": scores,
        "scores_outdated": member.outdated,
        "spent": member.provenance.get("spent"),
        "cost": member.cost,
    }


def _print_members(sides: list[Side]) -> None:
    """Which models stand for a side, where that is not its label."""
    for side in sides:
        names = [member.name for member in side.members]
        if names != [side.label] or side.lacking:
            left_out = {"without a model": side.lacking, "not made": side.unmade}
            parts = [f"{', '.join(names)}, seed{'s' if len(names) > 1 else ''} {seeds_of(side)}"]
            parts += [f"{count} more {what}" for what, count in left_out.items() if count]
            parts += [f"{name} has the weights of {first}: no other seed" for name, first in side.same.items()]
            print(f"{side.label}: {'; '.join(parts)}")


def _print_costs(sides: list[Side]) -> None:
    """What the making of the models took, as far as they say; of several, the mean."""
    if not any(member.cost is not None for side in sides for member in side.members):
        return
    print("\nCost" + (", mean of a side's models" if any(len(side.members) > 1 for side in sides) else ""))
    table = console.table("", "tokens generated", "trained on", "FLOPs", "with all that it rests on but bases")
    for side in sides:
        spent: list[dict[str, float]] = [one.provenance.get("spent", {}) for one in side.members]
        cells = [_mean([one.get(key) for one in spent]) for key in ("tokens_generated", "tokens_trained", "flops")]
        table.add_row(side.label, *cells, _mean([one.cost for one in side.members]))
    console.show(table)


def _mean(values: list[float | None]) -> str:
    known = [value for value in values if value is not None]
    return si(sum(known) / len(known)) if len(known) == len(values) else NONE


def _print_config(root: Path, left: Side, right: Side) -> None:
    """What both have, with other values; of what only one has, which is of its kind and much, the names alone."""
    print("\nConfig")
    if not (left.config and right.config):
        print("Not known: a folder without provenance.json.")
        return
    differing = [
        (path, _or_several(left, path, one), _or_several(right, path, other))
        for path, one, other in differences(left.config, right.config)
        if path != ("name",)
    ]
    shared = [one for one in differing if NONE not in one[1:]]
    if shared:
        console.show(side_by_side(left.label, right.label, shared))
    alone = {side.label: _alone(side, other) for side, other in ((left, right), (right, left))}
    for label, names in alone.items():
        if names:
            print(f"Only {label} has {joined(names, NAMED)}.")
    if any(alone.values()):
        print(f"{_lister(left, right)} lists their values.")
    made_of = list(_made_of(root, left, right))
    for line in made_of:
        print(line)
    if not (shared or any(alone.values()) or made_of):
        print("No difference.")


def _or_several(side: Side, path: Path_, value: str) -> str:
    """A side's value, where its models agree on one."""
    return SEVERAL if value == NONE and any(path in member.config for member in side.members) else value


def _alone(side: Side, other: Side) -> list[str]:
    """The values that a side has and another lacks; a part of the config that is not there at all is named as one."""
    known = {path[:length] for one in other.members for path in one.config for length in range(1, len(path) + 1)}
    parts = ([path[:length] for length in range(1, len(path) + 1)] for path in side.config)
    absent = [next((part for part in of_path if part not in known), None) for of_path in parts]
    return [dotted(part) for part in dict.fromkeys(absent) if part]


def _made_of(root: Path, left: Side, right: Side) -> Iterator[str]:
    """What differs beside the values, as far as it is known."""
    if inputs := differing_inputs(root, left, right):
        yield f"Inputs: {listed(inputs)}"
    for side in (left, right):
        if not all(member.provenance for member in side.members):
            yield f"The inputs of {side.label} are not known: no provenance.json of it is here."
    if code := differing_code(left, right):
        yield f"Code: {listed(code)}"


def _lister(left: Side, right: Side) -> str:
    """What lists all values: a command that takes stages of the pipeline, or the form for programs."""
    stages = [member.stage for side in (left, right) for member in side.members]
    return f"`thicket config diff {' '.join(stages)}`" if len(stages) == 2 and all(stages) else "`--json`"


class _Divergence:
    """What is known of how far two models lie apart: of the pipeline, and of `thicket analyze` since both were made."""

    def __init__(self, root: Path, analyses: list[AnalyzeStage], domain: str, sides: list[Side]):
        self.measured: list[Measured] = []
        self.command: str | None = None
        members = [member for side in sides for member in side.members]
        if len(sides) == len(members) == 2 and not any(member.revision for member in members):
            left, right = members
            self.measured = list(_measured(root, left, right, analyses))
            self.command = f"thicket analyze divergence model_a={left.given} model_b={right.given} domain={domain}"

    def print(self) -> None:
        if self.command:
            print("\nDivergence")
            if self.measured:
                _print_divergence(self.measured)
            else:
                print(f"Not measured: `{self.command}` does it.")


def _measured(root: Path, left: Member, right: Member, analyses: list[AnalyzeStage]) -> Iterator[Measured]:
    """Of the pipeline, and of `thicket analyze` since the two were made."""
    names = {left.given, right.given}
    folders = [
        root / ANALYSIS / stage.name
        for stage in analyses
        if isinstance(stage.analysis, Divergence) and {one.name for one in stage.models} == names
    ]
    if names != {left.name, right.name}:
        return  # An analysis calls a folder by the end of its path alone.
    made_at = [(root / MODELS / name / "provenance.json") for name in names]
    newest = max((path.stat().st_mtime for path in made_at if path.is_file()), default=0.0)
    own = sorted((root / RUNS / "analyze").glob("divergence-*/analyze"))
    folders += [folder for folder in own if folder.stat().st_mtime > newest]
    for folder in folders:
        path = folder / "result.json"
        found = console.read_json(path) if path.is_file() else {}
        if set(found.get("models", ())) == names:
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
