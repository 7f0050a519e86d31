"""Ways to a specialist side by side: each method's specialists on their own domains, the mean over seeds."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from thicket.config.stages import ReportedModel
from thicket.reporting.inputs import Inputs, Items
from thicket.reporting.seeds import Gain, by_seed, mean_gain
from thicket.reporting.settings import Settings

Step = tuple[str, str]
"""Option of conf/method, and all values but the seed: what differs in a value is another way."""


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
    sampled_mean: Gain | None
    """Over the domains; None where another way has a domain more, or where no seed has all of them."""
    greedy_mean: Gain | None
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
    every = {one.model.domain for made in groups.values() for one in made}
    return tuple(_result(base, steps, made, every, inputs, settings) for (base, steps), made in groups.items())


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
    base: str,
    steps: tuple[Step, ...],
    made: list[Inputs],
    every: set[str | None],
    inputs: dict[str, Inputs],
    settings: Settings,
) -> MethodResult:
    """`every`: the domains of all ways. Means over fewer are of other domains, and say nothing beside the rest."""
    domains = list(dict.fromkeys(str(one.model.domain) for one in made))
    of = {domain: by_seed(one for one in made if one.model.domain == domain) for domain in domains}
    sampled = {domain: _differences(seeds, inputs, lambda items: items.pass_at_1_N) for domain, seeds in of.items()}
    greedy = {domain: _differences(seeds, inputs, _deployed) for domain, seeds in of.items()}
    common = _common(list(of.values())) if every <= set(domains) else []
    costs = [sum(one.provenance["cost"].values()) for one in made]
    return MethodResult(
        steps=tuple(option for option, _ in steps),
        base=base,
        models=tuple(one.model.name for one in made),
        example=made[0].model,
        sampled=_gains(sampled, settings),
        greedy=_gains(greedy, settings),
        sampled_mean=_over_domains(sampled, common, settings),
        greedy_mean=_over_domains(greedy, common, settings),
        flops=float(np.mean(costs)),
        times=float(np.mean([_per_answer(one) / _per_answer(inputs[base]) for one in made])),
    )


def _differences(
    seeds: list[list[Inputs]], inputs: dict[str, Inputs], score: Callable[[Items], NDArray[np.float64]]
) -> list[NDArray[np.float64]]:
    """Each item's difference to the base for each seed, differences_SN."""
    domain = str(seeds[0][0].model.domain)

    def gain_N(one: Inputs) -> NDArray[np.float64]:
        return score(one.items[domain]) - score(inputs[root_of(one.model, inputs)].items[domain])

    return [np.mean([gain_N(one) for one in of_seed], axis=0) for of_seed in seeds]


def _deployed(items: Items) -> NDArray[np.float64]:
    """What a model says when it is asked once: its greedy response, or its vote."""
    return items.pass_at_1_N if items.greedy_N is None else items.greedy_N


def _gains(values: dict[str, list[NDArray[np.float64]]], settings: Settings) -> dict[str, Gain]:
    return {domain: mean_gain([[one_N] for one_N in values_SN], settings) for domain, values_SN in values.items()}


def _common(of_domains: list[list[list[Inputs]]]) -> list[tuple[int, ...]]:
    """For each seed that all domains have, its place among each domain's; what is the same in all of them counts once.

    By number, not in order: where domains lack different seeds, what has one place is not of one seed.
    """
    places = [{one.model.seed: place for place, of_seed in enumerate(seeds) for one in of_seed} for seeds in of_domains]
    common = [seed for seed in places[0] if all(seed in others for others in places)]
    return list(dict.fromkeys(tuple(of_domain[seed] for of_domain in places) for seed in common))


def _over_domains(
    values: dict[str, list[NDArray[np.float64]]], common: list[tuple[int, ...]], settings: Settings
) -> Gain | None:
    """The mean over domains, of the seeds that they have in common; None where there are none."""
    of_common = [
        [values_SN[place] for values_SN, place in zip(values.values(), places, strict=True)] for places in common
    ]
    return mean_gain(of_common, settings) if of_common else None


def root_of(model: ReportedModel, inputs: dict[str, Inputs]) -> str:
    """The base that a model goes back to."""
    return model.name if model.base is None else root_of(inputs[model.base].model, inputs)


def _per_answer(one: Inputs) -> float:
    """FLOPs of an answer, the mean over domains."""
    return float(np.mean([figures["flops"] for figures in one.metrics["domains"].values()]))
