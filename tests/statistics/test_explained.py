"""The variance that groups explain, by hand and over all permutations."""

from itertools import permutations

import numpy as np
import pytest

from thicket.statistics.explained import explained


def test_by_hand() -> None:
    # Means 2 and 6 around 4: between 4·2² = 16, total 9 + 1 + 1 + 9 = 20; by chance 1/3, (0.8 − 1/3)/(2/3).
    found = explained([1, 3, 5, 7], np.array([0, 0, 1, 1]))
    assert (found.eta_squared, found.by_chance, found.share) == pytest.approx((0.8, 1 / 3, 0.7))


def test_groups_that_decide_explain_all() -> None:
    found = explained([2, 2, 5, 5, 5], np.array([1, 1, 0, 0, 0]))
    assert (found.eta_squared, found.share) == pytest.approx((1, 1))


def test_shuffled_values_explain_nothing_on_average() -> None:
    values, groups = [0.0, 1.0, 1.5, 4.0, 9.0, 2.0], np.array([0, 0, 0, 1, 1, 2])
    found = [explained(shuffled, groups) for shuffled in permutations(values)]
    assert np.mean([one.eta_squared for one in found]) == pytest.approx(2 / 5)
    assert found[0].by_chance == pytest.approx(2 / 5)
    assert np.mean([one.share for one in found]) == pytest.approx(0, abs=1e-12)


def test_a_value_that_counts_twice_is_no_second_value() -> None:
    values, groups = np.array([1.0, 3.0, 5.0, 7.0, 6.0]), np.array([0, 0, 1, 1, 1])
    once, twice = explained(values, groups), explained(values, groups, np.full(5, 2.0))
    assert (twice.eta_squared, twice.by_chance, twice.share) == pytest.approx(
        (once.eta_squared, once.by_chance, once.share)
    )
    without = explained(values, groups, np.array([1.0, 1.0, 1.0, 1.0, 0.0]))
    assert without.share == pytest.approx(0.7)
    copied = explained([1.0, 1.0, 3.0, 5.0], np.array([0, 0, 1, 1]))
    weighted = explained([1.0, 3.0, 5.0], np.array([0, 1, 1]), np.array([2.0, 1.0, 1.0]))
    assert weighted.eta_squared == pytest.approx(copied.eta_squared)
    assert weighted.share < copied.share


@pytest.mark.parametrize(
    ("values", "groups", "times"),
    [
        ([2.0, 2.0, 2.0], [0, 0, 1], None),
        ([1.0, 2.0, 3.0], [0, 1, 2], None),
        ([1.0, 2.0, 3.0], [0, 1, 2], [2.0, 2.0, 1.0]),
        ([1.0], [0], None),
        ([1.0, 2.0], [0, 1], [0.0, 0.0]),
        ([], [], None),
    ],
    ids=["no variance", "a group each", "a group each, counted twice", "one value", "none counted", "no value"],
)
def test_what_has_no_share(values: list[float], groups: list[int], times: list[float] | None) -> None:
    weights = None if times is None else np.array(times)
    assert np.isnan(explained(values, np.array(groups, dtype=np.int64), weights).share)
