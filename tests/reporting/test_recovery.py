"""Sums over domains and the recovered share."""

import numpy as np
import pytest

from thicket.statistics.intervals import Interval, mean_interval
from thicket.statistics.recovery import bootstrap_sums, recovery, sum_interval

SETTINGS = (500, 0.9, 0)


def test_values_that_do_not_vary_give_the_share_by_hand() -> None:
    found = recovery([[0.5, 0.5], [0.25]], [[1.0, 1.0], [0.5]], *SETTINGS)
    assert found.student_gain == Interval(0.75, 0.75, 0.75)
    assert found.specialist_gain == Interval(1.5, 1.5, 1.5)
    assert found.share == Interval(0.5, 0.5, 0.5)


def test_the_share_is_paired_by_item() -> None:
    specialist = [np.array([0.1, 0.9, 0.4, 0.6]), np.array([0.2, 1.0, 0.3])]
    found = recovery([0.8 * values for values in specialist], specialist, *SETTINGS)
    assert found.specialist_gain.low < found.specialist_gain.value < found.specialist_gain.high
    assert found.share is not None
    assert [found.share.value, found.share.low, found.share.high] == pytest.approx([0.8] * 3, abs=1e-12)


def test_domains_are_drawn_independently() -> None:
    # With the same draws in both domains every sum would be 0.
    values = np.array([1.0, -1.0] * 10)
    sums_R = bootstrap_sums([values, -values], 2000, 0)
    # A mean of 20 draws from ±1 has variance 1/20; two independent ones, 1/10.
    assert sums_R.var() == pytest.approx(0.1, rel=0.1)


def test_a_gain_that_is_not_clear_has_no_share() -> None:
    specialist = [[1.0, -1.0, 1.0, -0.5]]
    found = recovery([[1.0, 1.0, 1.0, 1.0]], specialist, *SETTINGS)
    assert found.share is None
    assert found.specialist_gain.value == 0.125
    assert found.specialist_gain.low <= 0
    assert found.student_gain.value == 1.0


def test_draws_without_a_gain_do_not_spoil_the_share() -> None:
    # With 3 items a draw misses both gaining ones, and sums to 0, once in 27: outside a 90 % interval.
    found = recovery([[0.5, 0.5, 0.0]], [[1.0, 1.0, 0.0]], *SETTINGS)
    assert (bootstrap_sums([[1.0, 1.0, 0.0]], SETTINGS[0], SETTINGS[2]) == 0).any()
    assert found.share == Interval(0.5, 0.5, 0.5)


def test_a_sum_of_one_domain_is_its_mean() -> None:
    """Both stand in tables, and are one number with one interval."""
    values = np.random.default_rng(0).uniform(size=40)
    interval = sum_interval([values], *SETTINGS)
    assert interval == mean_interval(values, *SETTINGS)
    assert interval.low < interval.value < interval.high


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one domain"):
        sum_interval([], *SETTINGS)
    with pytest.raises(ValueError, match="same items on both sides"):
        recovery([[1.0, 2.0]], [[1.0]], *SETTINGS)
