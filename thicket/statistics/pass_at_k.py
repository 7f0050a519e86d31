"""Unbiased pass@k (Chen et al. 2021, arXiv 2107.03374 eq. 1). Legend: N items."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def pass_at_k(samples_N: ArrayLike, correct_N: ArrayLike, k: int) -> NDArray[np.float64]:
    """1 − C(n−c, k)/C(n, k) for each item: the chance that k of its n samples, c of them correct, hold a correct one.

    Raises: ValueError where k is not between 1 and n, or c not between 0 and n.
    """
    n_N, c_N = np.asarray(samples_N, dtype=np.int64), np.asarray(correct_N, dtype=np.int64)
    if n_N.shape != c_N.shape:
        raise ValueError(f"samples and correct have different shapes: {n_N.shape} and {c_N.shape}")
    if k < 1 or (n_N < k).any():
        raise ValueError(f"pass@{k} needs k of at least 1 and at least k samples an item")
    if ((c_N < 0) | (c_N > n_N)).any():
        raise ValueError("an item has fewer than 0 or more than n correct samples")
    # The quotient of binomials as a product of k factors below 1, which can't overflow.
    wrong_N = np.ones(n_N.shape)
    for drawn in range(k):
        wrong_N *= np.clip(n_N - c_N - drawn, 0, None) / (n_N - drawn)
    return 1.0 - wrong_N
