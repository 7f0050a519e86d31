"""Ways to one model side by side: students that differ in nothing but the seed, the mean over seeds."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray

from thicket.config.stages import ReportedModel
from thicket.reporting.inputs import Inputs
from thicket.reporting.methods import root_of
from thicket.reporting.seeds import Gain, by_seed, mean_gain
from thicket.reporting.settings import Settings
from thicket.statistics.intervals import Interval
from thicket.statistics.recovery import recovered_share
from thicket.statistics.resampled import Resampled
from thicket.statistics.seeds import over_seeds

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Held:
    """A student against the specialists of its domains, item by item."""

    student_DN: Sequence[Values]
    """Its differences to the base."""
    specialist_DN: Sequence[Values]
    """Each domain's specialist, or the mean of several, less the base."""


@dataclass(frozen=True)
class Consolidation:
    """A way to one model."""

    models: tuple[str, ...]
    """The students."""
    example: ReportedModel
    gains: dict[str, Gain]
    """Domain → pass@1 less the base's."""
    mean: Gain
    """Over the domains."""
    recovered: Interval | None
    """The mean of the seeds' shares of their specialists' gain; None where one has none."""
    shares: tuple[float | None, ...]
    """Each seed's own; None where it can't be said."""
    flops: float
    """Of a student with all that it rests on, the mean."""

    @property
    def name(self) -> str:
        """What is common to the names of its models, from the end: s0-opd, s1-opd → opd."""
        parts = zip(*(reversed(name.split("-")) for name in self.models), strict=False)
        common = [same[0] for same in takewhile(lambda same: len(set(same)) == 1, parts)]
        return "-".join(reversed(common)) or self.models[0]


def by_students(
    inputs: dict[str, Inputs],
    domains: Sequence[str],
    settings: Settings,
    difference: Callable[[str, str], Values],
    held: Callable[[str], Held | None],
) -> tuple[Consolidation, ...]:
    """Every way that has several seeds. `difference`: of a model on a domain to its base; `held`: a student."""
    groups: dict[str, list[Inputs]] = {}
    for one in inputs.values():
        if one.model.kind == "student":
            groups.setdefault(_way(one.model, inputs), []).append(one)
    ways = [seeds for seeds in map(by_seed, groups.values()) if len(seeds) > 1]
    return tuple(_result(seeds, domains, settings, difference, held) for seeds in ways)


def _way(model: ReportedModel, inputs: dict[str, Inputs]) -> str:
    """What students share that differ in their seed alone: the method, and what they and their teachers are made of."""
    config = inputs[model.name].provenance["config"]
    teachers = [
        [teacher["domain"], teacher["weight"], _made_by(teacher["name"], inputs)] for teacher in config["teachers"]
    ]
    budget = config["budget_of"] and _way(inputs[config["budget_of"]].model, inputs)
    domains = [domain["name"] for domain in config.get("domains", [])]
    start = [root_of(model, inputs), *_made_by(str(model.base), inputs)]
    parts = [start, model.method, config.get("method"), teachers, domains, budget]
    return json.dumps(parts, sort_keys=True)


def _made_by(name: str, inputs: dict[str, Inputs]) -> list[object]:
    """What a model goes back to: bases by name, all others by their method, its values, and their domain."""
    model = inputs[name].model
    if model.base is None:
        return [name]
    values = inputs[name].provenance["config"].get("method")
    return [model.method, values, model.domain, model.effort, *_made_by(model.base, inputs)]


def _result(
    seeds: list[list[Inputs]],
    domains: Sequence[str],
    settings: Settings,
    difference: Callable[[str, str], Values],
    held: Callable[[str], Held | None],
) -> Consolidation:
    made = [one for of_seed in seeds for one in of_seed]
    gains_SDN = [
        [_mean([difference(one.model.name, domain) for one in of_seed]) for domain in domains] for of_seed in seeds
    ]
    shares = [_share([held(one.model.name) for one in of_seed], settings) for of_seed in seeds]
    known = [share for share in shares if share is not None]
    return Consolidation(
        models=tuple(one.model.name for one in made),
        example=made[0].model,
        gains={
            domain: mean_gain([[gains_DN[place]] for gains_DN in gains_SDN], settings)
            for place, domain in enumerate(domains)
        },
        mean=mean_gain(gains_SDN, settings),
        recovered=over_seeds(known).interval(settings.confidence) if len(known) == len(shares) else None,
        shares=tuple(share and share.value for share in shares),
        flops=float(np.mean([sum(one.provenance["cost"].values()) for one in made])),
    )


def _share(students: Sequence[Held | None], settings: Settings) -> Resampled | None:
    """What students of one seed have of their specialists' gain, in the mean; None where one has no specialists."""
    known = [one for one in students if one is not None]
    if len(known) < len(students):
        return None
    sides = ([one.student_DN for one in known], [one.specialist_DN for one in known])
    student_DN, specialist_DN = ([_mean(of_domain) for of_domain in zip(*side, strict=True)] for side in sides)
    return recovered_share(student_DN, specialist_DN, *settings.bootstrap)


def _mean(values: Sequence[Values]) -> Values:
    return np.mean(values, axis=0)
