"""Percentile bootstrap over prompts (Efron & Tibshirani 1993, ch. 13). Legend: N items, R resamples."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

CHUNK_ELEMENTS = 2_000_000
"""Most indices in memory at once; it does not change the result."""


@dataclass(frozen=True)
class Interval:
    """A mean with the ends of its interval."""

    value: float
    low: float
    high: float


def bootstrap_means(values_N: ArrayLike, resamples: int, seed: int) -> NDArray[np.float64]:
    """Means of R resamples of the items, drawn with replacement, means_R.

    Equal seeds and numbers of items give equal resamples, so that differences of two models' means are paired.
    Raises: ValueError without items or with values that are not finite.
    """
    values_N = np.asarray(values_N, dtype=np.float64)
    if values_N.ndim != 1 or values_N.size == 0:
        raise ValueError(f"a mean needs a row of at least one value, not an array of shape {values_N.shape}")
    if not np.isfinite(values_N).all():
        raise ValueError("a value is not finite")
    generator, count = np.random.default_rng(seed), values_N.size
    rows = max(1, CHUNK_ELEMENTS // count)
    means = [
        values_N[generator.integers(0, count, size=(min(rows, resamples - start), count))].mean(axis=1)
        for start in range(0, resamples, rows)
    ]
    return np.concatenate(means)


def mean_interval(values_N: ArrayLike, resamples: int, confidence: float, seed: int) -> Interval:
    """The mean over items with its percentile interval; with one item the interval has no width and says nothing."""
    means_R = bootstrap_means(values_N, resamples, seed)
    return percentile_interval(float(np.mean(np.asarray(values_N, dtype=np.float64))), means_R, confidence)


def difference_interval(
    values_N: ArrayLike, reference_N: ArrayLike, resamples: int, confidence: float, seed: int
) -> Interval:
    """The mean of value − reference over the same items (paired).

    Raises: ValueError where the two differ in length.
    """
    values_N, reference_N = np.asarray(values_N, dtype=np.float64), np.asarray(reference_N, dtype=np.float64)
    if values_N.shape != reference_N.shape:
        raise ValueError(f"paired values need the same items: {values_N.size} against {reference_N.size}")
    return mean_interval(values_N - reference_N, resamples, confidence, seed)


def percentile_interval(value: float, resampled_R: NDArray[np.float64], confidence: float) -> Interval:
    """The central share `confidence` of resampled statistics, around a value.

    Raises: ValueError where the confidence is not between 0 and 1.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"a confidence lies between 0 and 1, not {confidence}")
    low, high = np.quantile(resampled_R, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(value, float(low), float(high))
