"""Moments from products: against loops, by hand, and on gradients whose expectation and variance are known."""

import numpy as np
import pytest
from numpy.typing import NDArray

from thicket.statistics.gradient_moments import part_norm, product, quotient, squared_norm, variance
from thicket.statistics.resamples import resamples, whole

ROUNDING = 1e-12


def random(prompts: int, width: int, seed: int) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(size=(prompts, width))


def test_against_loops_over_the_resample() -> None:
    """The resample's prompts in a list, in which one that was drawn twice stands twice; pairs of it don't count."""
    one, other = random(5, 3, 0), random(4, 3, 1)
    times_A, times_B = np.array([2.0, 0, 1, 1, 1]), np.array([1.0, 1, 0, 2])
    list_A, list_B = [0, 0, 2, 3, 4], [0, 1, 3, 3]
    pairs = [(i, j) for i in list_A for j in list_A if i != j]
    expected = np.mean([one[i] @ one[j] for i, j in pairs])
    assert squared_norm(one @ one.T, times_A[None])[0] == pytest.approx(expected, abs=ROUNDING)
    same_AB = np.zeros((5, 4), dtype=bool)
    same_AB[0, 3] = True
    crossed = np.mean([one[i] @ other[j] for i in list_A for j in list_B if (i, j) != (0, 3)])
    found = product(one @ other.T, times_A[None], times_B[None], same_AB)
    assert found[0] == pytest.approx(crossed, abs=ROUNDING)
    spread = np.mean([one[i] @ one[i] for i in list_A]) - expected
    found = variance((one**2).sum(axis=1), np.array([float(expected)]), times_A[None])
    assert found[0] == pytest.approx(spread, abs=ROUNDING)


def test_by_hand() -> None:
    """g = (1, 0) and (0, 1): no product, and so all of their length is variance."""
    one = np.eye(2)
    squared = squared_norm(one @ one.T, whole(2))
    assert squared.tolist() == [0.0]
    spread = variance(np.ones(2), squared, whole(2))
    assert spread.tolist() == [1.0]
    assert part_norm(squared, spread, 2)[0] == pytest.approx(np.sqrt(0.5)), "the mean (½, ½)"
    assert np.isnan(squared_norm(np.ones((1, 1)), whole(1))[0]), "one prompt has no pair"
    assert quotient(np.array([1.0, 1.0]), np.array([4.0, 0.0])).tolist() == [0.25, pytest.approx(np.nan, nan_ok=True)]


def test_expectation_and_variance_are_met_without_bias() -> None:
    """g ~ N(μ, I) in 20 dimensions, |μ|² = 1, five prompts: the mean's own length² would be 1 + 20/5."""
    mu = np.full(20, 20**-0.5)
    squares, spreads = [], []
    for seed in range(3000):
        one = random(5, 20, seed) + mu
        squared = squared_norm(one @ one.T, whole(5))
        squares.append(squared[0])
        spreads.append(variance((one**2).sum(axis=1), squared, whole(5))[0])
    for found, exact in ((squares, 1.0), (spreads, 20.0)):
        assert abs(np.mean(found) - exact) < 4 * np.std(found) / np.sqrt(len(found))


def test_resamples_lie_around_the_value() -> None:
    """What a plain |ḡ|² of a resample does not: it gets the variance once more."""
    one = random(12, 200, 1) + 0.1
    times_RN, products = resamples(12, 4000, [0]), one @ one.T
    value = squared_norm(products, whole(12))[0]
    found_R = squared_norm(products, times_RN)
    assert abs(found_R.mean() - value) < 0.05 * value + 4 * found_R.std() / np.sqrt(4000)
    plain_R = ((times_RN @ products) * times_RN).sum(axis=1) / 12**2
    assert plain_R.mean() > 1.5 * (products.sum() / 12**2)
