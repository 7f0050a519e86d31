"""Spectral discordance (Gan & Isola 2026, "Neural Thickets", arXiv 2603.12228), its null, and its noise ceiling.

D = 1 − (1/(M(M−1))) Σ_{j≠k} C_jk, where C_jk is the Pearson correlation of the percentile ranks that N perturbations
have by their scores on tasks j and k; ties share the mean of their ranks (mid-ranks). D is 0 where all tasks rank the
perturbations alike, 1 where no two ranks have to do with each other, and at most M/(M−1).

A task with one score for all has no ranks: its correlations are NaN, and means are over what is defined. Everything is
given for R resamples of the perturbations at once, each by how often it holds every perturbation.
Legend: N perturbations, M tasks, I items, R resamples, V different scores, P permutations.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thicket.statistics.resamples import whole

CHUNK_ELEMENTS = 4_000_000
"""Most numbers in memory at once; it does not change the result."""
Floats = NDArray[np.float64]


def percentile_ranks(scores_N: ArrayLike, times_RN: Floats) -> Floats:
    """Mid-ranks as shares of the resample, (rank − ½)/N, ranks_RN; their mean over a resample is ½."""
    order_N = np.argsort(scores_N, kind="stable")
    sorted_N = np.asarray(scores_N)[order_N]
    starts_V = np.flatnonzero(np.r_[True, sorted_N[1:] != sorted_N[:-1]])
    held_RV = np.add.reduceat(times_RN[:, order_N], starts_V, axis=1)
    middle_RV = (np.cumsum(held_RV, axis=1) - held_RV / 2) / times_RN.sum(axis=1, keepdims=True)
    ranks_RN = np.empty(times_RN.shape)
    ranks_RN[:, order_N] = np.repeat(middle_RV, np.diff(np.r_[starts_V, len(sorted_N)]), axis=1)
    return ranks_RN


def rank_correlations(scores_NM: ArrayLike, times_RN: Floats) -> Floats:
    """C, the Pearson correlations of the tasks' percentile ranks, correlations_RMM."""
    scores_NM = np.asarray(scores_NM)
    rows = max(1, CHUNK_ELEMENTS // scores_NM.size)
    parts = [times_RN[start : start + rows] for start in range(0, len(times_RN), rows)]
    return np.concatenate([_correlations(scores_NM, part) for part in parts])


def _correlations(scores_NM: NDArray[np.generic], times_RN: Floats) -> Floats:
    z_RMN = np.stack([_standard(scores_N, times_RN) for scores_N in scores_NM.T], axis=1)
    return z_RMN @ z_RMN.transpose(0, 2, 1)


def _standard(scores_N: NDArray[np.generic], times_RN: Floats) -> Floats:
    """Ranks around their mean, of unit length and weighted by √times: products of two sum to a correlation."""
    around_RN = (percentile_ranks(scores_N, times_RN) - 0.5) * np.sqrt(times_RN)
    length_R1 = np.sqrt((around_RN**2).sum(axis=1, keepdims=True))
    return np.divide(around_RN, length_R1, out=np.full(around_RN.shape, np.nan), where=length_R1 > 0)


def reliability(correct_NI: ArrayLike, halves: int, seed: Sequence[int], times_RN: Floats) -> Floats:
    """How well a task's ranks would agree with those from as many other items, reliability_R.

    The items fall at random into two halves (`halves` times; of an odd number one is left out); h is the mean
    correlation of the two halves' ranks, and r = 2h/(1+h) is what it comes to at full length (Spearman 1910, Brown
    1910). NaN with fewer than two items, or where no half tells the perturbations apart.
    """
    correct_NI = np.asarray(correct_NI)
    items, generator = correct_NI.shape[1], np.random.default_rng(seed)
    half, found = items // 2, [np.full(len(times_RN), np.nan)]
    for _ in range(halves if half else 0):
        drawn_I = generator.permutation(items)
        parts = [drawn_I[:half], drawn_I[half : 2 * half]]
        scores_N2 = np.stack([correct_NI[:, part].sum(axis=1) for part in parts], axis=1)
        found.append(rank_correlations(scores_N2, times_RN)[:, 0, 1])
    h_R = _mean(np.stack(found), axis=0)
    return np.divide(2 * h_R, 1 + h_R, out=np.full(h_R.shape, np.nan), where=h_R > -1)


def ceilings(reliability_RM: Floats) -> Floats:
    """√(r_j r_k), the correlation of two tasks that in truth rank alike, ceilings_RMM; NaN where an r is 0 or less."""
    root_RM = np.sqrt(reliability_RM, out=np.full(reliability_RM.shape, np.nan), where=reliability_RM > 0)
    return root_RM[:, :, None] * root_RM[:, None, :]


def pair_mean(matrices_RMM: Floats) -> Floats:
    """The mean over pairs of different tasks, of those where it is defined; NaN where it is for none."""
    first, second = np.triu_indices(matrices_RMM.shape[1], k=1)
    return _mean(matrices_RMM[:, first, second], axis=1)


def permutation_null(scores_NM: ArrayLike, permutations: int, seed: Sequence[int]) -> Floats:
    """D where the tasks' ranks are those of the sample, and have nothing to do with each other, discordance_P.

    NaN where fewer than two tasks tell the perturbations apart.
    """
    scores_NM = np.asarray(scores_NM)
    z_MN = np.concatenate([_standard(scores_N, whole(len(scores_NM))) for scores_N in scores_NM.T])
    z_MN = z_MN[np.isfinite(z_MN).all(axis=1)]
    tasks, generator, found = len(z_MN), np.random.default_rng(seed), np.full(permutations, np.nan)
    for place in range(permutations if tasks > 1 else 0):
        # Σ_{j≠k} z_j·z_k is the squared length of the sum of M unit vectors, less their own squares.
        total_N = generator.permuted(z_MN, axis=1).sum(axis=0)
        found[place] = 1 - (total_N @ total_N - tasks) / (tasks * (tasks - 1))
    return found


def _mean(values: Floats, axis: int) -> Floats:
    """The mean of what is not NaN; NaN where all is."""
    known = np.isfinite(values)
    count = known.sum(axis=axis)
    total = np.where(known, values, 0.0).sum(axis=axis)
    return np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)
