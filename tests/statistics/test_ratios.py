"""Ratios of sums and their bootstrap."""

import numpy as np
import pytest

from thicket.statistics.ratios import bootstrap_ratios, ratio, ratio_interval


def test_by_hand() -> None:
    assert ratio([1, 2, 3], [2, 2, 8]) == pytest.approx(0.5)
    assert ratio([1, 0, 1, 1], None) == pytest.approx(0.75)
    assert ratio([0, 0], [0, 0]) is None
    assert ratio([], None) is None


def test_resamples_are_ratios_of_drawn_units() -> None:
    amounts, weights = np.array([1.0, 5.0, 0.0]), np.array([2.0, 5.0, 4.0])
    drawn = np.random.default_rng(3).integers(0, 3, size=(50, 3))
    naive = [amounts[row].sum() / weights[row].sum() for row in drawn]
    np.testing.assert_allclose(bootstrap_ratios(amounts, weights, 50, 3), naive)


def test_equal_seeds_pair_two_ratios() -> None:
    values = np.random.default_rng(0).random(40)
    one, other = bootstrap_ratios(values, None, 100, 1), bootstrap_ratios(values + 0.5, None, 100, 1)
    np.testing.assert_allclose(other - one, 0.5)
    assert not np.allclose(one, bootstrap_ratios(values, None, 100, 2))


def test_a_mean_s_interval_covers_about_what_it_says() -> None:
    generator, inside = np.random.default_rng(5), 0
    for seed in range(200):
        found = ratio_interval(generator.normal(1.0, 1.0, 60), None, 400, 0.9, seed)
        assert found is not None
        inside += found.low <= 1.0 <= found.high
    assert 165 <= inside <= 195


def test_what_can_t_be_a_ratio() -> None:
    assert ratio_interval([1.0], [0.0], 10, 0.9, 0) is None
    with pytest.raises(ValueError, match="same units: 2 against 1"):
        ratio([1, 2], [1])
    with pytest.raises(ValueError, match="not finite"):
        ratio([float("nan")], None)
    with pytest.raises(ValueError, match="at least one unit"):
        bootstrap_ratios([], None, 10, 0)
