"""Ratios of sums over units, Σ amounts / Σ weights, with bootstrap over the units. Legend: U units, R resamples."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from thicket.statistics.intervals import CHUNK_ELEMENTS, Interval, percentile_interval

Floats = NDArray[np.float64]


def ratio(amounts_U: Sequence[float] | Floats, weights_U: Sequence[float] | Floats | None) -> float | None:
    """Σ amounts / Σ weights; None where the weights sum to nothing, or there are no units."""
    amounts_U, weights_U = _both(amounts_U, weights_U)
    total = float(weights_U.sum())
    return float(amounts_U.sum()) / total if total else None


def bootstrap_ratios(
    amounts_U: Sequence[float] | Floats, weights_U: Sequence[float] | Floats | None, resamples: int, seed: int
) -> Floats:
    """The ratio in R resamples of the units, drawn with replacement, ratios_R; NaN where the weights sum to nothing.

    Equal seeds and numbers of units give equal resamples: two ratios over the same units are paired.
    Raises: ValueError without units, where the two differ in length or a value is not finite.
    """
    amounts_U, weights_U = _both(amounts_U, weights_U)
    count = amounts_U.size
    if count == 0:
        raise ValueError("a ratio needs at least one unit")
    generator, rows, found = np.random.default_rng(seed), max(1, CHUNK_ELEMENTS // count), []
    for start in range(0, resamples, rows):
        drawn_RU = generator.integers(0, count, size=(min(rows, resamples - start), count))
        above_R, below_R = amounts_U[drawn_RU].sum(axis=1), weights_U[drawn_RU].sum(axis=1)
        found.append(np.divide(above_R, below_R, out=np.full(len(above_R), np.nan), where=below_R != 0))
    return np.concatenate(found)


def ratio_interval(
    amounts_U: Sequence[float] | Floats,
    weights_U: Sequence[float] | Floats | None,
    resamples: int,
    confidence: float,
    seed: int,
) -> Interval | None:
    """The ratio with its percentile interval; None where it has no value. Raises: as `bootstrap_ratios`."""
    value = ratio(amounts_U, weights_U)
    if value is None:
        return None
    ratios_R = bootstrap_ratios(amounts_U, weights_U, resamples, seed)
    return percentile_interval(value, ratios_R[np.isfinite(ratios_R)], confidence)


def _both(amounts_U: Sequence[float] | Floats, weights_U: Sequence[float] | Floats | None) -> tuple[Floats, Floats]:
    amounts_U = np.asarray(amounts_U, dtype=np.float64)
    weights_U = np.ones(amounts_U.shape) if weights_U is None else np.asarray(weights_U, dtype=np.float64)
    if amounts_U.shape != weights_U.shape:
        raise ValueError(f"amounts and weights need the same units: {amounts_U.size} against {weights_U.size}")
    if not (np.isfinite(amounts_U).all() and np.isfinite(weights_U).all()):
        raise ValueError("a value is not finite")
    return amounts_U, weights_U
