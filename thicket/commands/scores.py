"""Scores of models on the same items, held against each other: one model a side, or several seeds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thicket.commands.sides import Member, Side
from thicket.config.places import MODELS
from thicket.reporting.inputs import PASS_AT_1, Incomparable, Scored, check_comparable, interval_of, read_scores
from thicket.reporting.results import GREEDY
from thicket.statistics.intervals import Interval, difference_interval
from thicket.statistics.recovery import bootstrap_sums, sum_interval
from thicket.statistics.resampled import SHARE, Resampled
from thicket.statistics.seeds import difference_over_seeds, over_seeds

MEAN = "mean"
Values = list[NDArray[np.float64]]
"""Of each domain, a model's score on each item."""


@dataclass(frozen=True)
class Pair:
    """A figure of both sides, on a domain."""

    domain: str
    figure: str
    left: Interval
    right: Interval
    difference: Interval
    """Right less left, over the same items."""


@dataclass(frozen=True)
class Pairs:
    """Two sides' scores."""

    settings: dict[str, Any]
    pairs: list[Pair]
    by_seed: bool
    """Whether the two sides have the same seeds, which are paired."""


def paired(left: Side, right: Side, domains: list[str], seed: int) -> Pairs:
    """Every domain's pass@1 and greedy score, and the means over domains.

    Intervals over one model a side are over items; where a side has several, they count what its seeds vary by too.
    Raises: ValueError, with the files, where one is missing or broken, or where two were scored on other items or in
    another way.
    """
    check_scored((left, right))
    members = (*left.members, *right.members)
    scored = {member.scores: read_scores(member.scores, domains) for member in members}
    try:
        check_comparable(scored, domains)
    except Incomparable as error:
        raise ValueError(f"{error}; {_rescoring([one for one in members if one.scores in error.folders])}") from None
    settings = scored[members[0].scores].metrics["settings"]
    comparison = _Comparison(left, right, scored, (settings["resamples"], settings["confidence"], seed))
    pairs: list[Pair] = []
    for figure in (PASS_AT_1, GREEDY):
        known = [domain for domain in domains if all(_has(one, domain, figure) for one in scored.values())]
        pairs += [comparison.pair(domain, figure, [domain]) for domain in known]
        if len(known) > 1 and len(known) == len(domains):
            pairs.append(comparison.pair(MEAN, figure, known))
    return Pairs(settings, pairs, comparison.by_seed)


def check_scored(sides: Sequence[Side]) -> None:
    """Raises: ValueError with the commands that score the models which are not scored: the pipeline's, and folders."""
    missing = [(side, member) for side in sides for member in side.members if not _is_scored(member)]
    stages = dict.fromkeys(f"evaluate-{member.name}" for _, member in missing if member.stage)
    folders = dict.fromkeys(side.given for side, member in missing if not member.stage)
    commands = [f"`dvc repro {' '.join(stages)}`"] if stages else []
    commands += [f"`thicket evaluate -m model={','.join(folders)}`"] if folders else []
    if commands:
        now = " as params.yaml now says" if folders else ""
        raise ValueError(f"not scored yet{now}: {' and '.join(commands)} does it")


def _rescoring(members: Sequence[Member]) -> str:
    """The commands that score models by the tests of now, those of other commits as folders."""
    here = dict.fromkeys(f"evaluate-{member.name}" for member in members if member.stage)
    commands = [f"`dvc repro {' '.join(here)}`"] if here else []
    for member in members:
        if member.revision:
            name = member.own_name
            folder = f"build/{name}-{member.revision.replace('/', '-')}"
            taken = f"dvc get . {MODELS / name} --rev {member.revision} -o {folder}"
            commands.append(f"`{taken} && thicket evaluate model={folder}`, with {folder} in place of {member.given}")
    return f"to score them by those of now: {'; '.join(commands)}"


def _is_scored(member: Member) -> bool:
    return (member.scores / "metrics.json").is_file()


class _Comparison:
    def __init__(self, left: Side, right: Side, scored: dict[Any, Scored], bootstrap: tuple[int, float, int]):
        self.left, self.right, self.scored = left, right, scored
        self.bootstrap, (self.resamples, self.confidence, self.seed) = bootstrap, bootstrap
        self.single = len(left.members) == len(right.members) == 1
        self.by_seed = not self.single and _same_seeds(left, right)

    def pair(self, name: str, figure: str, domains: list[str]) -> Pair:
        """A figure on a domain, or the mean of several."""
        sides = [
            [[_values(self.scored[member.scores], domain, figure) for domain in domains] for member in side.members]
            for side in (self.left, self.right)
        ]
        if self.single:
            return self._of_items(name, figure, domains, sides[0][0], sides[1][0])
        resampled = [[self._resampled(values) for values in side] for side in sides]
        lefts, rights = resampled
        if self.by_seed:
            order = {member.seed: one for member, one in zip(self.left.members, lefts, strict=True)}
            gaps = [one - order[member.seed] for member, one in zip(self.right.members, rights, strict=True)]
            difference = over_seeds(gaps)
        else:
            difference = difference_over_seeds(rights, lefts)
        left, right = (over_seeds(side).interval(self.confidence) for side in resampled)
        return Pair(name, figure, left, right, difference.interval(self.confidence))

    def _of_items(self, name: str, figure: str, domains: list[str], left: Values, right: Values) -> Pair:
        """Of one model a side, by percentiles; a domain's own intervals are those of its evaluation."""
        if len(domains) == 1:
            a, b = (self.scored[side.members[0].scores].metrics["domains"] for side in (self.left, self.right))
            scored = interval_of(a[domains[0]], figure), interval_of(b[domains[0]], figure)
            return Pair(name, figure, scored[0], scored[1], difference_interval(right[0], left[0], *self.bootstrap))
        mean: Callable[[Values], Interval] = lambda values: sum_interval(_parts(values), *self.bootstrap)  # noqa: E731
        gaps = [b - a for a, b in zip(left, right, strict=True)]
        return Pair(name, figure, mean(left), mean(right), mean(gaps))

    def _resampled(self, values: Values) -> Resampled:
        """A model's score with its resamples of the items, which are the same for every model."""
        value = float(np.mean([one.mean() for one in values]))
        return Resampled(value, bootstrap_sums(_parts(values), self.resamples, self.seed), SHARE)


def _parts(values: Values) -> Values:
    """What domains add to their mean."""
    return [one / len(values) for one in values]


def _same_seeds(left: Side, right: Side) -> bool:
    """Whether each seed stands once on either side: what they draw alike is then paired."""
    seeds = [[member.seed for member in side.members] for side in (left, right)]
    known = all(None not in side and len(set(side)) == len(side) for side in seeds)
    return known and set(seeds[0]) == set(seeds[1])


def _has(scored: Scored, domain: str, figure: str) -> bool:
    return figure == PASS_AT_1 or scored.items[domain].greedy_N is not None


def _values(scored: Scored, domain: str, figure: str) -> NDArray[np.float64]:
    items = scored.items[domain]
    found = items.pass_at_1_N if figure == PASS_AT_1 else items.greedy_N
    assert found is not None
    return found
