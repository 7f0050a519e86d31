"""Error barriers on the line between two models (Frankle et al. 2020, arXiv 1912.05671), from scores on items.

At weight α the model is αW₁ + (1−α)W₂, and its error E(α) is 1 − its mean score. Everything is given for R resamples of
the items at once, each by how often it holds every item (`thicket.statistics.resamples.resamples`, and `whole` for
the sample itself). Legend: A weights α, I items, R resamples.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def mean_scores(scores_AI: ArrayLike, times_RI: Floats) -> Floats:
    """Mean score at each α in each resample, means_RA. Raises: ValueError where the numbers of items differ."""
    scores_AI = np.asarray(scores_AI, dtype=np.float64)
    if scores_AI.ndim != 2 or scores_AI.shape[1] != times_RI.shape[1]:
        raise ValueError(f"scores of the shape {scores_AI.shape} are not of {times_RI.shape[1]} items")
    return (times_RI @ scores_AI.T) / times_RI.sum(axis=1, keepdims=True)


def above_chord(means_RA: Floats, alphas_A: Sequence[float]) -> Floats:
    """E(α) − (αE₁ + (1−α)E₂), the error above that of the straight line between the ends, excess_RA.

    The α rise from 0 to 1. Raises: ValueError where they don't, or are fewer than 3.
    """
    alphas = np.asarray(alphas_A, dtype=np.float64)
    if alphas.size < 3 or alphas[0] != 0 or alphas[-1] != 1 or (np.diff(alphas) <= 0).any():
        raise ValueError(f"a line needs at least 3 weights that rise from 0 to 1, not {list(alphas_A)}")
    if means_RA.shape[1] != alphas.size:
        raise ValueError(f"scores at {means_RA.shape[1]} points don't go with {alphas.size} weights")
    second_R1, first_R1 = means_RA[:, :1], means_RA[:, -1:]
    # In this order equal ends give no rounding.
    return second_R1 + alphas * (first_R1 - second_R1) - means_RA


def barrier(means_RA: Floats, alphas_A: Sequence[float]) -> Floats:
    """The largest error above the chord inside of the line, barrier_R; below 0 where the whole inside lies under it.

    It is the largest of several noisy values, and so too high on average; the bootstrap adds to that.
    """
    return above_chord(means_RA, alphas_A)[:, 1:-1].max(axis=1)


def barrier_above_mean(means_RA: Floats) -> Floats:
    """Frankle's sup_α E(α) − (E₁ + E₂)/2, both ends counted, barrier_R: at least half of the difference of the ends."""
    return (means_RA[:, 0] + means_RA[:, -1]) / 2 - means_RA.min(axis=1)
