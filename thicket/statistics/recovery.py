"""Sums over domains, and the share of a gain that a student recovers. Legend: D domains, N items, R resamples.

Each domain's items are resampled by draws of their own, and by the same draws for every model: models are paired,
domains are independent.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thicket.statistics.intervals import Interval, bootstrap_means, percentile_interval


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


def recovery(
    student_DN: Sequence[ArrayLike], specialist_DN: Sequence[ArrayLike], resamples: int, confidence: float, seed: int
) -> Recovery:
    """The share of a gain, from each item's difference to the base: the student's, and its domain's specialist's.

    Raises: ValueError where the two differ in domains or items, and what `bootstrap_sums` raises.
    """
    shapes = [[np.shape(values_N) for values_N in values_DN] for values_DN in (student_DN, specialist_DN)]
    if shapes[0] != shapes[1]:
        raise ValueError(f"a share needs the same items on both sides: {shapes[0]} against {shapes[1]}")
    student_R = bootstrap_sums(student_DN, resamples, seed)
    specialist_R = bootstrap_sums(specialist_DN, resamples, seed)
    student = percentile_interval(_sum_of_means(student_DN), student_R, confidence)
    specialist = percentile_interval(_sum_of_means(specialist_DN), specialist_R, confidence)
    if specialist.low <= 0:
        return Recovery(None, student, specialist)
    # The few resamples, outside the interval, in which the specialists gain nothing have no share.
    gaining_R = specialist_R > 0
    share_R = student_R[gaining_R] / specialist_R[gaining_R]
    return Recovery(percentile_interval(student.value / specialist.value, share_R, confidence), student, specialist)


def _sum_of_means(values_DN: Sequence[ArrayLike]) -> float:
    return float(sum(np.mean(np.asarray(values_N, dtype=np.float64)) for values_N in values_DN))
