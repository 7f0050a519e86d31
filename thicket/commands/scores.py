"""Scores of models on the same items, held against each other: one model a side, or several seeds."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thicket.commands.alike import ways
from thicket.commands.sides import Member, Side
from thicket.config.never_right import Counts, noted_in
from thicket.config.places import MODELS
from thicket.reporting.inputs import PASS_AT_1, Scored, interval_of, read_scores
from thicket.reporting.results import GREEDY
from thicket.reporting.text import joined
from thicket.statistics.intervals import Interval, percentile_interval
from thicket.statistics.recovery import mean_over_domains
from thicket.statistics.resampled import SHARE, Resampled
from thicket.statistics.seeds import difference_over_seeds, over_seeds

MEAN = "mean"


@dataclass(frozen=True)
class Pair:
    """A figure of both sides, on a domain."""

    domain: str
    figure: str
    left: Interval
    right: Interval
    difference: Interval
    """Right less left, over the same items."""
    over: list[str]
    """The domain; of a mean, its domains."""


@dataclass(frozen=True)
class LeftOut:
    """Domains on which two sides' scores can't be held against each other."""

    domains: list[str]
    why: str

    def __str__(self) -> str:
        return f"on {joined(self.domains)}, {self.why}"


@dataclass(frozen=True)
class Pairs:
    """Two sides' scores."""

    settings: dict[str, Any]
    pairs: list[Pair]
    """Of the domains on which they can be held against each other; none where there is none."""
    left_out: list[LeftOut]
    """The other domains."""
    remedy: str
    """What makes their scores alike, in words; empty where there are none."""
    by_seed: bool
    """Whether the two sides have the same seeds, which are paired."""
    never_right: dict[str, Counts]
    """Of each side, by its label."""

    @property
    def missing(self) -> str:
        """What is left out, why, and what makes it alike; empty where nothing is."""
        return "; ".join([*map(str, self.left_out), *([self.remedy] if self.remedy else [])])


def paired(left: Side, right: Side, domains: list[str], seed: int) -> Pairs:
    """The pass@1 and greedy score of every domain on which the sides' scores are of the same items, asked and judged in
    the same way, and the means over these.

    Intervals over one model a side are over items; where a side has several, they count what its seeds vary by too.
    Raises: ValueError, with the file, where one is missing or broken.
    """
    if lacking := unscored((left, right)):
        return Pairs({}, [], [LeftOut(domains, lacking.why)], lacking.remedy, False, {})
    members = {member.scores: member for member in (*left.members, *right.members)}
    scored = {scores: read_scores(scores) for scores in members}
    apart = {domain: why for domain in domains if (why := _why_apart(members, scored, domain))}
    alike = [domain for domain in domains if domain not in apart]
    settings = scored[left.members[0].scores].metrics["settings"]
    comparison = _Comparison(left, right, scored, (settings["resamples"], settings["confidence"], seed))
    pairs: list[Pair] = []
    for figure in (PASS_AT_1, GREEDY):
        known = [domain for domain in alike if all(_has(one, domain, figure) for one in scored.values())]
        pairs += [comparison.pair(domain, figure, [domain]) for domain in known]
        if len(known) > 1 and len(known) == len(alike):
            pairs.append(comparison.pair(MEAN, figure, known))
    left_out = [LeftOut([one for one in apart if apart[one] == why], why) for why in dict.fromkeys(apart.values())]
    remedy, never_right = _rescoring(members.values()) if apart else "", _never_right((left, right), scored, alike)
    return Pairs(settings, pairs, left_out, remedy, comparison.by_seed, never_right)


def _why_apart(members: Mapping[Path, Member], scored: Mapping[Path, Scored], domain: str) -> str:
    """Why scores on a domain can't be held against each other, in words; empty where they can."""
    if without := [members[scores].name for scores, one in scored.items() if not _knows(one, domain)]:
        return f"{joined(without)} {'has' if len(without) == 1 else 'have'} no scores"
    first, *others = ways(scored, domain)
    (like, are), *told = (_named([members[scores].name for scores in way.models]) for way in (first, *others))
    return ", ".join(
        f"{names} {be} not scored as {like} {are} ({way.unlike})" for (names, be), way in zip(told, others, strict=True)
    )


def _named(names: list[str]) -> tuple[str, str]:
    """Names, and the verb that goes with them."""
    return joined(names), "is" if len(names) == 1 else "are"


def _never_right(sides: Sequence[Side], scored: Mapping[Path, Scored], domains: list[str]) -> dict[str, Counts]:
    """Of each side, by its first model: those of a side differ in their seeds, and not in what they can write."""
    noted = {side.label: noted_in(scored[side.members[0].scores].metrics) for side in sides}
    return {label: {one: counts[one] for one in domains if one in counts} for label, counts in noted.items()}


@dataclass(frozen=True)
class Lacking:
    """What is not scored yet."""

    why: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.why}: {self.remedy}"


def unscored(sides: Sequence[Side]) -> Lacking | None:
    """The models that are not scored, in words, with the commands that do it: the pipeline's, and folders."""
    missing = {side.label: [one for one in side.members if not _is_scored(one)] for side in sides}
    members = [(side, member) for side in sides for member in missing[side.label]]
    stages = dict.fromkeys(f"evaluate-{member.name}" for _, member in members if member.stage)
    folders = dict.fromkeys(side.given for side, one in members if not one.stage and not one.revision)
    commands = [f"`dvc repro {' '.join(stages)}`"] if stages else []
    commands += [f"`thicket evaluate -m model={','.join(folders)}`"] if folders else []
    commands += [_scoring_here(member) for _, member in members if member.revision]
    now, be = " as params.yaml now says" if folders else "", "is" if len(members) == 1 else "are"
    whose = joined([_part(side, len(missing[side.label])) for side in sides if missing[side.label]])
    return Lacking(f"{whose} {be} not scored yet{now}", f"{' and '.join(commands)} does it") if members else None


def _part(side: Side, count: int) -> str:
    """So many of a side's models."""
    if len(side.members) == 1:
        return side.label
    of = "" if count == len(side.members) else f"{count} of "
    return f"{of}the {len(side.members)} models of {side.label}"


def _rescoring(members: Iterable[Member]) -> str:
    """The commands that score models by the tests of now, those of other commits as folders; empty where there are
    none: a run by itself has no others."""
    here = dict.fromkeys(f"evaluate-{member.name}" for member in members if member.stage)
    commands = [f"`dvc repro {' '.join(here)}`"] if here else []
    commands += [_scoring_here(member) for member in members if member.revision]
    return f"to score them by the tests of now: {'; '.join(commands)}" if commands else ""


def _scoring_here(member: Member) -> str:
    """The commands that score a model of another commit, as a folder."""
    folder = f"build/{member.own_name}-{member.revision.replace('/', '-')}"
    taken = f"dvc get . {MODELS / member.own_name} --rev {member.revision} -o {folder}"
    return f"`{taken} && thicket evaluate model={folder}` ({folder} in place of {member.given})"


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
        lefts, rights = (
            [self._resampled(member, figure, domains) for member in side.members] for side in (self.left, self.right)
        )
        if self.single:
            difference = self._of_items(rights[0] - lefts[0])
        elif self.by_seed:
            order = {member.seed: one for member, one in zip(self.left.members, lefts, strict=True)}
            gaps = [one - order[member.seed] for member, one in zip(self.right.members, rights, strict=True)]
            difference = over_seeds(gaps).interval(self.confidence)
        else:
            difference = difference_over_seeds(rights, lefts).interval(self.confidence)
        left, right = (
            self._score(side, found, figure, domains) for side, found in ((self.left, lefts), (self.right, rights))
        )
        return Pair(name, figure, left, right, difference, domains)

    def _resampled(self, member: Member, figure: str, domains: list[str]) -> Resampled:
        """A model's score with its resamples of the items, which are the same for every model."""
        values = [_values(self.scored[member.scores], domain, figure) for domain in domains]
        return mean_over_domains(values, self.resamples, self.seed, SHARE)

    def _score(self, side: Side, found: list[Resampled], figure: str, domains: list[str]) -> Interval:
        """Of several models over seeds; of one on a domain as its evaluation has it, which says the same everywhere."""
        if len(found) > 1:
            return over_seeds(found).interval(self.confidence)
        if len(domains) > 1:
            return self._of_items(found[0])
        return interval_of(self.scored[side.members[0].scores].metrics["domains"][domains[0]], figure)

    def _of_items(self, one: Resampled) -> Interval:
        """By percentiles, as evaluations and reports have it."""
        return percentile_interval(one.value, one.draws_R, self.confidence)


def _same_seeds(left: Side, right: Side) -> bool:
    """Whether each seed stands once on either side: what they draw alike is then paired."""
    seeds = [[member.seed for member in side.members] for side in (left, right)]
    known = all(None not in side and len(set(side)) == len(side) for side in seeds)
    return known and set(seeds[0]) == set(seeds[1])


def _knows(scored: Scored, domain: str) -> bool:
    return domain in scored.metrics["domains"] and domain in scored.items


def _has(scored: Scored, domain: str, figure: str) -> bool:
    return figure == PASS_AT_1 or scored.items[domain].greedy_N is not None


def _values(scored: Scored, domain: str, figure: str) -> NDArray[np.float64]:
    items = scored.items[domain]
    found = items.pass_at_1_N if figure == PASS_AT_1 else items.greedy_N
    assert found is not None
    return found
