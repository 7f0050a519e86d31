"""Means over seeds: their error, degrees of freedom, p-values, and how often noise is taken for an effect."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.special import ndtr
from scipy.stats import ttest_ind

from thicket.statistics.resampled import SHARE, UNBOUNDED, Resampled, constant
from thicket.statistics.seeds import Estimate, difference_over_seeds, over_seeds


def figure(value: float, *draws: float) -> Resampled:
    return Resampled(value, np.array(draws))


def test_by_hand() -> None:
    # Means of the resamples 1 and 3: variance 2. Seeds 1, 2, 3: variance 1, over 3.
    found = over_seeds([figure(1.0, 0.0, 2.0), figure(2.0, 1.0, 3.0), figure(3.0, 2.0, 4.0)])
    assert (found.value, found.units, found.between, found.degrees) == pytest.approx((2.0, 2.0, 1 / 3, 2))
    assert found.error == pytest.approx(np.sqrt(7 / 3))
    assert found.p == pytest.approx(2 / 3)  # no less than two resamples can say


def test_both_parts_against_draws() -> None:
    """p is the mean over χ² of the normal tail; the interval is where it is 5 %."""
    found = Estimate(value=3.0, units=1.0, between=0.5, degrees=2, least_p=0.0)
    squares = np.random.default_rng(0).chisquare(2, 400_000)
    assert found.p == pytest.approx(np.mean(2 * ndtr(-3.0 / np.sqrt(1.0 + 0.5 * 2 / squares))), abs=1e-3)
    at = found.interval(0.95)
    assert Estimate(at.high - 3.0, 1.0, 0.5, 2, 0.0).p == pytest.approx(0.05)
    assert at.high - 3.0 == pytest.approx(3.0 - at.low)


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


def test_without_any_spread_nothing_is_said() -> None:
    """Eight of eight in three seeds varies in no resample, and is no proof of all."""
    found = over_seeds([constant(1.0, 99)] * 3)
    assert (found.p, found.interval(0.95).low) == (1.0, 1.0)
    rounding = over_seeds([constant(value, 99) for value in (0.3, 0.1 + 0.2, 0.3)])
    assert rounding.p == 1.0
    assert over_seeds([figure(1.0, np.nan, np.nan)]).p == 1.0


def test_resamples_without_a_value_are_left_out() -> None:
    found = over_seeds([figure(1.0, np.nan, 0.0, 2.0)])
    assert found.error == pytest.approx(np.sqrt(2))
    with pytest.raises(ValueError, match="at least one"):
        over_seeds([])


@pytest.mark.parametrize("between", [0.0, 1e-30, 1e-12])
def test_seeds_that_agree_are_the_end_of_those_that_hardly_differ(between: float) -> None:
    """Two greedy scores of 128 items are often the same: the interval and p are then those of the items alone."""
    found = Estimate(0.1, 0.000213, between, 1, 0.0)
    at = found.interval(0.95)
    assert at.high - 0.1 == pytest.approx(1.95996 * np.sqrt(0.000213), rel=1e-3)
    assert found.p == pytest.approx(2 * ndtr(-0.1 / np.sqrt(0.000213)), abs=1e-4)
    assert replace(found, value=at.high - 0.1).p == pytest.approx(0.05, abs=1e-3)


@pytest.mark.parametrize(("spread", "agreeing"), [(0.0, 1.0), (0.02, 0.42), (0.1, 0.09)])
def test_how_often_two_seeds_that_may_agree_hold_the_truth(spread: float, agreeing: float) -> None:
    """128 common items, each right where a seed's ability exceeds its difficulty; half are, in the long run."""
    generator, runs = np.random.default_rng(0), 3000
    difficulty, ability = generator.normal(0, 1, (runs, 1, 128)), generator.normal(0, spread, (runs, 2, 1))
    right = (difficulty < ability).astype(float)
    units, between = right.mean(axis=1).var(axis=1, ddof=1) / 128, right.mean(axis=2).var(axis=1, ddof=1) / 2
    values = right.mean(axis=(1, 2))
    found = [Estimate(*one, 1, 0.0).interval(0.95) for one in zip(values, units, between, strict=True)]
    assert (between == 0).mean() == pytest.approx(agreeing, abs=0.02)
    assert np.mean([one.low <= 0.5 <= one.high for one in found]) > 0.93  # 128 coins: .934


PARTS = [(1.0, 0.0), (0.3, 1.0), (1.0, 1.0), (0.0, 1.0), (1.0, 0.1), (1.0, 0.2), (1.0, 0.3)]


@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize(("between", "within"), PARTS)
def test_noise_is_seldom_taken_for_an_effect(between: float, within: float, seeds: int) -> None:
    """Seeds on common prompts, no effect: rejected in no more than about the level, where Holm tests as well."""
    generator, runs = np.random.default_rng(7), 4000
    common = generator.normal(0, within, runs)[:, None]
    values = common + generator.normal(0, between, (runs, seeds))
    spread = values.var(axis=1, ddof=1) / seeds
    means = values.mean(axis=1)
    p = np.array([Estimate(*one, seeds - 1, 0.0).p for one in zip(means, [within**2] * runs, spread, strict=True)])
    assert (p < 0.05).mean() < 0.06
    assert (p < 0.002).mean() < 0.005


# -- what is bounded ---------------------------------------------------------------------------------------------------


def test_an_interval_ends_where_its_scale_does() -> None:
    """Two scores of .9 and .99: Student's t reaches from .37 to 1.52. The test is the same with and without bounds."""
    shares = [Resampled(value, np.full(99, value), SHARE) for value in (0.9, 0.99)]
    found, free = over_seeds(shares), over_seeds([replace(one, bounds=UNBOUNDED) for one in shares])
    at, beyond = found.interval(0.95), free.interval(0.95)
    assert (beyond.low, beyond.high) == pytest.approx((0.3733, 1.5167), abs=1e-3)
    assert (at.value, at.low, at.high) == (beyond.value, beyond.low, 1.0)
    assert found.p == free.p


def test_a_difference_of_shares_lies_between_minus_one_and_one() -> None:
    ones, others = ([Resampled(value, np.full(99, value), SHARE) for value in group] for group in ([0.9, 1], [0, 0.2]))
    for found in (difference_over_seeds(ones, others), over_seeds([a - b for a, b in zip(ones, others, strict=True)])):
        at = found.interval(0.99)
        assert (at.low, at.high) == (-1.0, 1.0)


@pytest.mark.parametrize(("a", "b", "covered", "length"), [(95, 5, 0.945, 0.17), (9, 1, 0.916, 0.53)])
def test_how_often_two_seeds_hold_a_share(a: float, b: float, covered: float, length: float) -> None:
    """What `Estimate.interval` says of seeds that scatter as a beta distribution does."""
    drawn = np.random.default_rng(0).beta(a, b, (20_000, 2))
    spread = drawn.var(axis=1, ddof=1) / 2
    found = [Estimate(m, 0.0, v, 1, 0.0, SHARE).interval(0.95) for m, v in zip(drawn.mean(axis=1), spread, strict=True)]
    assert np.mean([one.low <= a / (a + b) <= one.high for one in found]) == pytest.approx(covered, abs=0.01)
    assert np.median([one.high - one.low for one in found]) == pytest.approx(length, abs=0.015)


# -- two groups of seeds -----------------------------------------------------------------------------------------------


def test_without_noise_of_items_it_is_welchs_test() -> None:
    ones, others = [0.5, 0.7, 0.55], [0.2, 0.25, 0.1, 0.3]
    fixed = [[constant(value, 100) for value in group] for group in (ones, others)]
    found = difference_over_seeds(fixed[0], fixed[1])
    expected: Any = ttest_ind(ones, others, equal_var=False)
    at = found.interval(0.9)
    assert (at.low, at.high) == pytest.approx(tuple(expected.confidence_interval(0.9)), abs=1e-9)
    assert found.p == pytest.approx(max(expected.pvalue, 2 / 101), rel=1e-6)


def test_one_seed_on_a_side_has_no_spread_of_its_own() -> None:
    generator = np.random.default_rng(0)
    base, *seeds = [Resampled(value, value + generator.normal(0, 0.1, 500)) for value in (0.1, 0.4, 0.5, 0.45)]
    found, expected = difference_over_seeds(seeds, [base]), over_seeds([one - base for one in seeds])
    assert vars(found.interval(0.95)) == pytest.approx(vars(expected.interval(0.95)))


def test_noise_that_both_groups_share_cancels() -> None:
    """Items are common to all models: what they add to each is no part of the difference."""
    items_R = np.random.default_rng(1).normal(0, 0.2, 500)
    groups = [[Resampled(value, value + items_R) for value in group] for group in ([0.5, 0.5], [0.3, 0.3])]
    found = difference_over_seeds(groups[0], groups[1])
    assert list(vars(found.interval(0.95)).values()) == pytest.approx([0.2, 0.2, 0.2])
    with pytest.raises(ValueError, match="at least one"):
        difference_over_seeds(groups[0], [])
