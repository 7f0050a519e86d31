"""Ways to one model side by side: students that differ in nothing but the seed, the mean over seeds."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from thicket.config.stages import ReportedModel
from thicket.reporting.inputs import Inputs
from thicket.reporting.methods import Gain, gain_of, mean_gain, root_of
from thicket.reporting.settings import Settings
from thicket.statistics.recovery import Recovery, recovery

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Held:
    """A student against the specialists of its domains, item by item."""

    domains: tuple[str, ...]
    student_DN: Sequence[Values]
    """Its differences to the base."""
    specialist_DN: Sequence[Values]
    """Each domain's specialist, or the mean of several, less the base."""


@dataclass(frozen=True)
class Consolidation:
    """A way to one model."""

    models: tuple[str, ...]
    """The students, one a seed."""
    example: ReportedModel
    gains: dict[str, Gain]
    """Domain → pass@1 less the base's."""
    mean: Gain
    """Over the domains."""
    recovered: Recovery | None
    """Of the means over seeds; None where a student is held against nobody."""
    shares: tuple[float | None, ...]
    """Each seed's own; None where it can't be said."""
    flops: float
    """Of a student with all that it rests on, the mean."""


def by_students(
    inputs: dict[str, Inputs],
    domains: Sequence[str],
    settings: Settings,
    difference: Callable[[str, str], Values],
    held: Callable[[str], Held | None],
) -> tuple[Consolidation, ...]:
    """Every way that has several students. `difference`: of a model on a domain to its base; `held`: a student."""
    groups: dict[str, list[Inputs]] = {}
    for one in inputs.values():
        if one.model.kind == "student":
            groups.setdefault(_way(one.model, inputs), []).append(one)
    return tuple(_result(made, domains, settings, difference, held) for made in groups.values() if len(made) > 1)


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
    made: list[Inputs],
    domains: Sequence[str],
    settings: Settings,
    difference: Callable[[str, str], Values],
    held: Callable[[str], Held | None],
) -> Consolidation:
    names = [one.model.name for one in made]
    values = {domain: np.stack([difference(name, domain) for name in names]) for domain in domains}
    against = [found for found in map(held, names) if found is not None]
    alike = len(against) == len(names) and len({found.domains for found in against}) == 1
    shares = [recovery(one.student_DN, one.specialist_DN, *settings.bootstrap).share for one in against if alike]
    return Consolidation(
        models=tuple(names),
        example=made[0].model,
        gains={domain: gain_of(values_SN, settings) for domain, values_SN in values.items()},
        mean=mean_gain(list(values.values()), settings),
        recovered=_together(against, settings) if alike else None,
        shares=tuple(share and share.value for share in shares),
        flops=float(np.mean([sum(one.provenance["cost"].values()) for one in made])),
    )


def _together(against: list[Held], settings: Settings) -> Recovery:
    """The share of the mean gains over seeds."""
    students = _means([one.student_DN for one in against])
    return recovery(students, _means([one.specialist_DN for one in against]), *settings.bootstrap)


def _means(values_SDN: Sequence[Sequence[Values]]) -> list[Values]:
    """The mean over seeds of each domain's items."""
    return [np.mean(of_domain, axis=0) for of_domain in zip(*values_SDN, strict=True)]
