"""Moments of gradients that are known by their products: of the prompts' gradients g_i, all ⟨g_i, g_j⟩.

A mean over N prompts is not its expectation: |ḡ|² is |Eg|² and an N-th of the variance. Products of two different
prompts have no such part (a U-statistic; Hoeffding 1948), and a bootstrap resample, which holds prompts twice, gets
none of it either. Everything is given for R resamples at once, each by how often it holds every prompt.
Legend: N (A, B) prompts, R resamples.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def product(
    products_AB: Floats, times_RA: Floats, times_RB: Floats, same_AB: NDArray[np.bool_] | None = None
) -> Floats:
    """⟨E g, E h⟩ from the products of g's prompts with h's, product_R; NaN where no two different prompts are drawn.

    same_AB: pairs that are one and the same prompt, which don't count.
    """
    counted_AB = np.ones(products_AB.shape) if same_AB is None else (~same_AB).astype(np.float64)
    above_R = ((times_RA @ (products_AB * counted_AB)) * times_RB).sum(axis=1)
    pairs_R = ((times_RA @ counted_AB) * times_RB).sum(axis=1)
    return np.divide(above_R, pairs_R, out=np.full(above_R.shape, np.nan), where=pairs_R > 0)


def squared_norm(products_NN: Floats, times_RN: Floats) -> Floats:
    """|E g|², squared_R; noise can bring it below 0."""
    return product(products_NN, times_RN, times_RN, np.eye(len(products_NN), dtype=bool))


def variance(squares_N: Floats, squared_R: Floats, times_RN: Floats) -> Floats:
    """E|g − E g|² of one prompt's gradient, variance_R, from E|g_i|² of each prompt and |E g|²."""
    return times_RN @ squares_N / times_RN.sum(axis=1) - squared_R


def part_norm(squared_R: Floats, variance_R: Floats, prompts: float) -> Floats:
    """√E|ḡ|² of the mean ḡ over so many prompts, norm_R: the square is |E g|² and a share of the variance."""
    return np.sqrt(np.maximum(squared_R + variance_R / prompts, 0.0))


def quotient(above_R: Floats, below_R: Floats) -> Floats:
    """NaN where the divisor is not above 0."""
    return np.divide(above_R, below_R, out=np.full(np.shape(above_R), np.nan), where=below_R > 0)
