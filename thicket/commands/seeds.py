"""Whether models that stand for one are seeds of one way, and how many seeds they are."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from thicket.commands.sides import Member, Side
from thicket.config.layers import Path_
from thicket.config.overrides import COMMAND_LINE
from thicket.config.places import SCORED_MODEL
from thicket.config.problems import ConfigError, Problem, dotted, shown
from thicket.plan import console
from thicket.reporting.inputs import own_weights

MOST = 3
"""Values that are told one by one."""
TELLING = ("name", "type")
"""Keys whose values are told first: the others' may only follow from them."""


def check_seeds(sides: Sequence[Side]) -> None:
    """Raises: ConfigError where models of a side differ in more than the seed, or two are of one seed."""
    problems = [
        Problem(COMMAND_LINE, "compare", shown(side.given), wrong, "seeds of one way, each once; or each a side")
        for side in sides
        if (wrong := _no_seeds(side.members))
    ]
    if problems:
        raise ConfigError(problems)


def _no_seeds(members: Sequence[Member]) -> str:
    """What is wrong with models as seeds of one way; empty: nothing that their configs tell."""
    found = sorted(dict(_differing(members)).items(), key=lambda one: one[0][-1] not in TELLING)
    differing = [f"{dotted(path)} is {values}" for path, values in found]
    if differing:
        more = f", and {len(differing) - MOST} values more" if len(differing) > MOST else ""
        return f"models that differ in more than the seed: {', '.join(differing[:MOST])}{more}"
    by_seed: dict[int, str] = {}
    for member in members:
        first = member.name if member.seed is None else by_seed.setdefault(member.seed, member.name)
        if first != member.name:
            return f"{first} and {member.name} both have the seed {member.seed}: that is one seed"
    return ""


def _differing(members: Sequence[Member]) -> Iterator[tuple[Path_, str]]:
    """Values that tell one way from another, and that two models do not share."""
    for one, other in pairwise(member for member in members if member.config):
        for path, value in one.config.items():
            if _tells(path) and path in other.config and other.config[path] != value:
                yield path, f"{shown(value)} of {one.name}, {shown(other.config[path])} of {other.name}"


def _tells(path: Path_) -> bool:
    """Whether a value tells two ways apart: not the names of models, which seeds have of their own, nor devices."""
    if path[0] == "teachers":
        return path[-1] != "name"
    return path[0] in ("stage", "method", "domain", "domains") or (path[0] == "base" and len(path) > 1)


def once(side: Side) -> Side:
    """The side without models that have the weights of an earlier one: they are no seeds. Raises: ValueError."""
    first: dict[str, str] = {}
    same: dict[str, str] = {}
    for member in side.members:
        path = member.scores / SCORED_MODEL
        weights = own_weights(console.read_json(path)) if path.is_file() else None
        earlier = first.setdefault(weights or member.name, member.name)
        if earlier != member.name:
            same[member.name] = earlier
    return replace(side, members=tuple(one for one in side.members if one.name not in same), same=same)
