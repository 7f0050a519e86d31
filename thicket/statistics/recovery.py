"""Sums over domains, and the share of a gain that a student recovers. Legend: D domains, N items, R resamples.

Each domain's items are resampled by draws of their own, and by the same draws for every model: models are paired,
domains are independent.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thicket.statistics.intervals import Interval, bootstrap_means, percentile_interval
from thicket.statistics.resampled import Bounds, Resampled


@dataclass(frozen=True)
class Recovery:
    """How much of the specialists' gain a student has."""

    share: Interval | None
    """Σ_d(student − base) / Σ_d(specialist − base); None where the denominator's interval does not lie above 0."""
    student_gain: Interval
    """Σ_d(student − base)."""
    specialist_gain: Interval
    """Σ_d(specialist − base)."""


def bootstrap_sums(values_DN: Sequence[ArrayLike], resamples: int, seed: int) -> NDArray[np.float64]:
    """Σ_d of the domains' means in R resamples of the items, sums_R; of one domain, those that it has by itself.

    Raises: ValueError without domains, and what `bootstrap_means` raises.
    """
    if not values_DN:
        raise ValueError("a sum over domains needs at least one domain")
    if len(values_DN) == 1:
        return bootstrap_means(values_DN[0], resamples, seed)
    sums_R = np.zeros(resamples)
    for place, values_N in enumerate(values_DN):
        stream = int(np.random.SeedSequence([seed, place]).generate_state(1)[0])
        sums_R += bootstrap_means(values_N, resamples, stream)
    return sums_R


def sum_interval(values_DN: Sequence[ArrayLike], resamples: int, confidence: float, seed: int) -> Interval:
    """Σ_d of the domains' means with its percentile interval. Raises: what `bootstrap_sums` raises."""
    sums_R = bootstrap_sums(values_DN, resamples, seed)
    return percentile_interval(_sum_of_means(values_DN), sums_R, confidence)


def mean_over_domains(values_DN: Sequence[ArrayLike], resamples: int, seed: int, bounds: Bounds) -> Resampled:
    """The mean over domains of the items' means, with its resamples. Raises: what `bootstrap_sums` raises."""
    parts_DN = [np.asarray(values_N, dtype=np.float64) / len(values_DN) for values_N in values_DN]
    return Resampled(_sum_of_means(parts_DN), bootstrap_sums(parts_DN, resamples, seed), bounds)


def recovery(
    student_DN: Sequence[ArrayLike], specialist_DN: Sequence[ArrayLike], resamples: int, confidence: float, seed: int
) -> Recovery:
    """The share of a gain with its interval, beside both gains. Raises: what `recovered_share` raises."""
    share = recovered_share(student_DN, specialist_DN, resamples, confidence, seed)
    return Recovery(
        share and percentile_interval(share.value, share.draws_R[np.isfinite(share.draws_R)], confidence),
        sum_interval(student_DN, resamples, confidence, seed),
        sum_interval(specialist_DN, resamples, confidence, seed),
    )


def recovered_share(
    student_DN: Sequence[ArrayLike], specialist_DN: Sequence[ArrayLike], resamples: int, confidence: float, seed: int
) -> Resampled | None:
    """The share of a gain, from each item's difference to the base: the student's, and its domain's specialist's.

    None where the interval of the specialists' gain does not lie above 0. The few resamples in which they gain nothing,
    which lie outside of it, have no share: NaN.
    Raises: ValueError where the two differ in domains or items, and what `bootstrap_sums` raises.
    """
    shapes = [[np.shape(values_N) for values_N in values_DN] for values_DN in (student_DN, specialist_DN)]
    if shapes[0] != shapes[1]:
        raise ValueError(f"a share needs the same items on both sides: {shapes[0]} against {shapes[1]}")
    student, specialist = (
        Resampled(_sum_of_means(values_DN), bootstrap_sums(values_DN, resamples, seed))
        for values_DN in (student_DN, specialist_DN)
    )
    if percentile_interval(specialist.value, specialist.draws_R, confidence).low <= 0:
        return None
    return student / Resampled(specialist.value, np.where(specialist.draws_R > 0, specialist.draws_R, np.nan))


def _sum_of_means(values_DN: Sequence[ArrayLike]) -> float:
    return float(sum(np.mean(np.asarray(values_N, dtype=np.float64)) for values_N in values_DN))
