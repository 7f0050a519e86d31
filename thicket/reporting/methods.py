"""Ways to a specialist side by side: each method's specialists on their own domains, the mean over seeds."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from thicket.config.stages import ReportedModel
from thicket.reporting.inputs import Inputs, Items
from thicket.reporting.settings import Settings
from thicket.statistics.intervals import Interval, mean_interval
from thicket.statistics.recovery import sum_interval

Step = tuple[str, str]
"""Option of conf/method, and all values but the seed: what differs in a value is another way."""


@dataclass(frozen=True)
class Gain:
    """A method's gain on its specialists' own domain, or the mean over domains: the mean over seeds."""

    gain: Interval
    """Over items, of the seeds' mean."""
    of_seeds: tuple[float, ...]
    """Each seed's own gain."""


@dataclass(frozen=True)
class MethodResult:
    """A method, or a sequence of methods, on all domains that it made specialists of."""

    steps: tuple[str, ...]
    """Options of conf/method, one after the other."""
    base: str
    """The model that the first of them started from."""
    models: tuple[str, ...]
    """The specialists."""
    example: ReportedModel
    sampled: dict[str, Gain]
    """Domain → pass@1 as the model answers, less the base's sampled pass@1."""
    greedy: dict[str, Gain]
    """Domain → the greedy score, or the vote's, less the base's greedy score."""
    sampled_mean: Gain
    """Over the domains."""
    greedy_mean: Gain
    flops: float
    """Of a specialist's making with all steps before it, the mean."""
    times: float
    """FLOPs of an answer over those of the base, the mean."""


def by_method(inputs: dict[str, Inputs], domains: Iterable[str], settings: Settings) -> tuple[MethodResult, ...]:
    """Every way to a specialist. `inputs` are those of all models; a way has a specialist in one domain at least."""
    groups: dict[tuple[str, tuple[Step, ...]], list[Inputs]] = {}
    for one in inputs.values():
        if one.model.kind == "specialist" and one.model.domain in set(domains):
            groups.setdefault((root_of(one.model, inputs), _steps(one.model, inputs)), []).append(one)
    return tuple(_result(base, steps, made, inputs, settings) for (base, steps), made in groups.items())


def _steps(model: ReportedModel, inputs: dict[str, Inputs]) -> tuple[Step, ...]:
    """The methods that led from a base or a student to a specialist."""
    if model.kind != "specialist":
        return ()
    assert model.base is not None
    option = f"{model.method} at {model.effort}" if model.effort else model.method
    return (*_steps(inputs[model.base].model, inputs), (option, _values(model, inputs)))


def _values(model: ReportedModel, inputs: dict[str, Inputs]) -> str:
    """The values of the model's making; a domain's, which differ between domains, as the place among its variants."""
    config = inputs[model.name].provenance["config"]
    variants = list(dict.fromkeys(_domain_of(one) for one in inputs.values() if one.model.domain == model.domain))
    return json.dumps([config.get("method"), variants.index(_domain_of(inputs[model.name]))], sort_keys=True)


def _domain_of(one: Inputs) -> str:
    return json.dumps([one.model.effort, one.provenance["config"].get("domain")], sort_keys=True)


def _result(
    base: str, steps: tuple[Step, ...], made: list[Inputs], inputs: dict[str, Inputs], settings: Settings
) -> MethodResult:
    domains = list(dict.fromkeys(str(one.model.domain) for one in made))
    of = {domain: [one for one in made if one.model.domain == domain] for domain in domains}
    sampled = {domain: _differences(ones, inputs, lambda items: items.pass_at_1_N) for domain, ones in of.items()}
    greedy = {domain: _differences(ones, inputs, _deployed) for domain, ones in of.items()}
    costs = [sum(one.provenance["cost"].values()) for one in made]
    return MethodResult(
        steps=tuple(option for option, _ in steps),
        base=base,
        models=tuple(one.model.name for one in made),
        example=made[0].model,
        sampled={domain: gain_of(values_SN, settings) for domain, values_SN in sampled.items()},
        greedy={domain: gain_of(values_SN, settings) for domain, values_SN in greedy.items()},
        sampled_mean=mean_gain(list(sampled.values()), settings),
        greedy_mean=mean_gain(list(greedy.values()), settings),
        flops=float(np.mean(costs)),
        times=float(np.mean([_per_answer(one) / _per_answer(inputs[base]) for one in made])),
    )


def _differences(
    made: list[Inputs], inputs: dict[str, Inputs], score: Callable[[Items], NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Each item's difference to the base for each seed, differences_SN."""
    domain = str(made[0].model.domain)
    rows = [score(one.items[domain]) - score(inputs[root_of(one.model, inputs)].items[domain]) for one in made]
    return np.stack(rows)


def _deployed(items: Items) -> NDArray[np.float64]:
    """What a model says when it is asked once: its greedy response, or its vote."""
    return items.pass_at_1_N if items.greedy_N is None else items.greedy_N


def gain_of(values_SN: NDArray[np.float64], settings: Settings) -> Gain:
    return Gain(
        gain=mean_interval(values_SN.mean(axis=0), *settings.bootstrap),
        of_seeds=tuple(float(value) for value in values_SN.mean(axis=1)),
    )


def mean_gain(values: list[NDArray[np.float64]], settings: Settings) -> Gain:
    """The mean over domains; of the seeds, those that every domain has, in their order."""
    seeds = zip(*(values_SN.mean(axis=1) for values_SN in values), strict=False)
    return Gain(
        gain=sum_interval([values_SN.mean(axis=0) / len(values) for values_SN in values], *settings.bootstrap),
        of_seeds=tuple(float(np.mean(of_seed)) for of_seed in seeds),
    )


def root_of(model: ReportedModel, inputs: dict[str, Inputs]) -> str:
    """The base that a model goes back to."""
    return model.name if model.base is None else root_of(inputs[model.base].model, inputs)


def _per_answer(one: Inputs) -> float:
    """FLOPs of an answer, the mean over domains."""
    return float(np.mean([figures["flops"] for figures in one.metrics["domains"].values()]))
