"""How much of the variance of a value its group explains. Legend: N values, G groups."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Explained:
    """Shares of a variance; NaN where there is no variance, or every value is its own group."""

    eta_squared: float
    """η² = between groups / total: never below 0, and large with many small groups whatever they are."""
    by_chance: float
    """What η² comes to on average where values are shuffled over the groups."""
    share: float
    """(η² − by chance)/(1 − by chance), Kelley's ε² (1935): 0 on average where groups mean nothing, 1 where they
    decide the value."""


def explained(values_N: ArrayLike, groups_N: NDArray[np.int64], times_N: Floats | None = None) -> Explained:
    """The variance that groups, numbered from 0, explain; `times_N` is how often each value counts (None: once).

    Values that a resample holds several times are alike because they are one: `by_chance` allows for that. With each
    value once it is (G − 1)/(N − 1).
    """
    values_N = np.asarray(values_N, dtype=np.float64)
    times_N = np.ones(values_N.shape) if times_N is None else times_N
    total = times_N.sum()
    around_N = values_N - (times_N @ values_N) / total if total else values_N
    held_G = np.bincount(groups_N, times_N)
    sums_G, squares_G = (np.bincount(groups_N, one) for one in (times_N * around_N, times_N**2))
    known_G = held_G > 0
    variance = times_N @ around_N**2
    # Of independent values with variance 1, the mean of the sums of squares: Σ_g Σ t²/Σ t, less that of all as a group.
    of_all = (times_N @ times_N) / total if total else 0.0
    between = (squares_G[known_G] / held_G[known_G]).sum() - of_all
    if variance <= 0 or total - of_all <= 0:
        return Explained(np.nan, np.nan, np.nan)
    eta_squared = float((sums_G[known_G] ** 2 / held_G[known_G]).sum() / variance)
    by_chance = float(between / (total - of_all))
    share = (eta_squared - by_chance) / (1 - by_chance) if by_chance < 1 else np.nan
    return Explained(eta_squared, by_chance, share)
