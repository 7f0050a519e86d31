"""Means over seeds in the report: which models count as seeds, and how well their mean is known."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from thicket.reporting.inputs import Inputs
from thicket.reporting.settings import Settings
from thicket.statistics.intervals import Interval, percentile_interval
from thicket.statistics.recovery import mean_over_domains
from thicket.statistics.seeds import over_seeds

Values = NDArray[np.float64]
GAIN = (-1.0, 1.0)
"""Bounds of a difference of two shares."""


@dataclass(frozen=True)
class Gain:
    """What models gain on their base: the mean over seeds."""

    gain: Interval
    """Over items and seeds, as `thicket compare` has it; of one seed over items."""
    of_seeds: tuple[float, ...]
    """Each seed's own."""


def by_seed(made: Iterable[Inputs]) -> list[list[Inputs]]:
    """The models of a way, in the order of their seeds; those of one seed, and of equal weights, are one seed's."""
    groups: list[list[Inputs]] = []
    for one in sorted(made, key=lambda one: one.model.seed):
        own = next((group for group in groups if any(_is_same_seed(one, other) for other in group)), None)
        if own is None:
            groups.append([one])
        else:
            own.append(one)
    return groups


def _is_same_seed(one: Inputs, other: Inputs) -> bool:
    return one.model.seed == other.model.seed or (one.weights is not None and one.weights == other.weights)


def mean_gain(gains_SDN: Sequence[Sequence[Values]], settings: Settings) -> Gain:
    """The mean over seeds of the mean over domains, from each item's gain."""
    means = [mean_over_domains(gains_DN, settings.resamples, settings.seed, GAIN) for gains_DN in gains_SDN]
    of_seeds = tuple(one.value for one in means)
    if len(means) == 1:
        return Gain(percentile_interval(means[0].value, means[0].draws_R, settings.confidence), of_seeds)
    return Gain(over_seeds(means).interval(settings.confidence), of_seeds)
