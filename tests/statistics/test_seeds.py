"""Means over seeds: their error, degrees of freedom, p-values, and how often noise is taken for an effect."""

import numpy as np
import pytest

from thicket.statistics.resampled import Resampled, constant
from thicket.statistics.seeds import over_seeds


def figure(value: float, *draws: float) -> Resampled:
    return Resampled(value, np.array(draws))


def test_by_hand() -> None:
    # Means of the resamples 1 and 3: variance 2. Seeds 1, 2, 3: variance 1, over 3. t at (7/3)² / (1/3)² × 2 = 98.
    found = over_seeds([figure(1.0, 0.0, 2.0), figure(2.0, 1.0, 3.0), figure(3.0, 2.0, 4.0)])
    assert (found.value, found.error, found.degrees) == pytest.approx((2.0, np.sqrt(7 / 3), 98.0))
    # t(98) at 2 / 1.5275 = 1.309: .1935; its 97.5 % quantile is 1.98447.
    assert found.interval(0.95).low == pytest.approx(2.0 - 1.98447 * np.sqrt(7 / 3), abs=1e-4)
    assert found.p == pytest.approx(2 / 3)  # no less than two resamples can say


def test_seeds_alone_are_a_t_test() -> None:
    # scipy.stats.ttest_1samp([1, 2, 3], 0): t 3.4641 at 2 degrees of freedom, p .07418.
    found = over_seeds([constant(value, 999) for value in (1.0, 2.0, 3.0)])
    assert found.degrees == pytest.approx(2)
    assert found.p == pytest.approx(0.07418, abs=1e-5)
    assert found.interval(0.95).high == pytest.approx(2 + 4.30265 / np.sqrt(3), abs=1e-4)


def test_one_seed_has_the_error_of_its_units() -> None:
    generator = np.random.default_rng(0)
    found = over_seeds([Resampled(1.0, generator.normal(1.0, 0.5, 20_000))])
    assert found.error == pytest.approx(0.5, rel=0.02)
    assert found.p == pytest.approx(0.0455, rel=0.1)  # normal, two-sided, at 2


def test_without_any_spread() -> None:
    found = over_seeds([constant(1.0, 99)] * 3)
    assert (found.p, found.interval(0.95).low) == (pytest.approx(0.02), 1.0)
    assert over_seeds([constant(0.0, 99)] * 3).p == 1.0


def test_resamples_without_a_value_are_left_out() -> None:
    found = over_seeds([figure(1.0, np.nan, 0.0, 2.0)])
    assert found.error == pytest.approx(np.sqrt(2))
    with pytest.raises(ValueError, match="at least one"):
        over_seeds([])


@pytest.mark.parametrize(("between", "within"), [(1.0, 0.0), (0.3, 1.0), (1.0, 1.0), (0.0, 1.0)])
def test_noise_is_seldom_taken_for_an_effect(between: float, within: float) -> None:
    """Three seeds on common prompts, no effect: rejected at 5 % in at most about 5 %."""
    generator, rejected, runs = np.random.default_rng(7), 0, 1500
    for _ in range(runs):
        common = generator.normal(0, within)
        seeds = common + generator.normal(0, between, 3)
        draws_R = generator.normal(0, within, 200)
        rejected += over_seeds([Resampled(value, value + draws_R) for value in seeds]).p < 0.05
    assert rejected / runs < 0.065
