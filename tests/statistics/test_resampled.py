"""Figures with their resamples: arithmetic, seeds, p-values, Holm."""

import numpy as np
import pytest

from thicket.statistics.resampled import Resampled, constant, holm, least, mean, over_seeds, p_value


def figure(value: float, *draws: float) -> Resampled:
    return Resampled(value, np.array(draws))


def test_arithmetic_goes_through_the_resamples() -> None:
    one, other = figure(2.0, 1.0, 4.0), figure(3.0, 5.0, 2.0)
    for made, value, draws in (
        (one + other, 5.0, [6, 6]),
        (one - 1, 1.0, [0, 3]),
        (1 - one, -1.0, [0, -3]),
        (2 * one, 4.0, [2, 8]),
        (other / one, 1.5, [5, 0.5]),
        (-one, -2.0, [-1, -4]),
        (one.log(), np.log(2), [0, np.log(4)]),
        (least(one, other), 2.0, [1, 2]),
        (mean([one, other]), 2.5, [3, 3]),
    ):
        assert made.value == pytest.approx(value)
        np.testing.assert_allclose(made.draws_R, draws)


def test_what_has_no_value_is_left_out() -> None:
    found = figure(1.0, 1.0, 2.0) / figure(1.0, 0.0, 1.0)
    assert np.isnan(found.draws_R[0])
    interval = found.interval(0.9)
    assert (interval.low, interval.high) == (2.0, 2.0)
    assert np.isnan((figure(1.0, 1.0) / 0.0).value)


def test_a_mean_over_seeds_varies_within_and_between() -> None:
    generator = np.random.default_rng(0)
    within = [Resampled(0.0, generator.normal(0, 1, 4000)) for _ in range(3)]
    assert over_seeds(within, 1).draws_R.std() == pytest.approx(1 / np.sqrt(3), rel=0.06)
    between = [constant(value, 4000) for value in (0.0, 1.0, 2.0)]
    found = over_seeds(between, 1)
    assert found.value == 1.0
    assert found.draws_R.std() == pytest.approx(np.std([0, 1, 2]) / np.sqrt(3), rel=0.06)
    assert set(np.round(found.draws_R * 3)) == set(range(7))


def test_p_values() -> None:
    assert p_value(figure(1.0, *[1.0] * 99)) == pytest.approx(2 / 100)
    assert p_value(figure(0.5, *[1.0] * 90, *[-1.0] * 9)) == pytest.approx(2 * 10 / 100)
    assert p_value(figure(0.0, *[0.0] * 50)) == 1.0
    assert p_value(figure(0.0, float("nan"))) == 1.0


def test_holm_by_hand() -> None:
    # Holm (1979): 3 × .01, 2 × .03, 1 × .04, each at least the one before.
    assert holm([0.03, 0.01, 0.04]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []


def test_without_any() -> None:
    with pytest.raises(ValueError, match="at least one"):
        mean([])
    with pytest.raises(ValueError, match="at least one"):
        over_seeds([], 0)
