"""Intervals and pass@k: by hand, by brute force, and by coverage."""

import itertools

import numpy as np
import pytest

from thicket.statistics.intervals import bootstrap_means, difference_interval, mean_interval, percentile_interval
from thicket.statistics.pass_at_k import pass_at_k


@pytest.mark.parametrize(("n", "c", "k"), [(n, c, k) for n in (1, 4, 6) for c in range(n + 1) for k in range(1, n + 1)])
def test_pass_at_k_is_the_share_of_draws_that_hold_a_correct_one(n: int, c: int, k: int) -> None:
    draws = list(itertools.combinations(range(n), k))
    share = sum(any(sample < c for sample in draw) for draw in draws) / len(draws)
    assert pass_at_k([n], [c], k)[0] == pytest.approx(share, abs=1e-12)


def test_pass_at_k_does_not_overflow() -> None:
    assert pass_at_k([100_000], [1], 50_000)[0] == pytest.approx(0.5)


@pytest.mark.parametrize(("n", "c", "k"), [(4, 5, 1), (4, -1, 1), (4, 2, 5), (4, 2, 0)])
def test_pass_at_k_refuses(n: int, c: int, k: int) -> None:
    with pytest.raises(ValueError, match=r"pass@|correct samples"):
        pass_at_k([n], [c], k)


def test_bootstrap_of_equal_values_has_no_width() -> None:
    interval = mean_interval([0.5] * 10, 100, 0.95, seed=0)
    assert (interval.value, interval.low, interval.high) == (0.5, 0.5, 0.5)


def test_percentiles_by_hand() -> None:
    interval = percentile_interval(50.0, np.arange(101.0), 0.9)
    assert (interval.low, interval.high) == pytest.approx((5.0, 95.0))


def test_paired_differences_use_the_same_resamples() -> None:
    """A constant gain over a reference of any spread is known exactly."""
    reference = np.random.default_rng(0).random(30)
    interval = difference_interval(reference + 0.1, reference, 200, 0.95, seed=1)
    assert (interval.low, interval.high) == pytest.approx((0.1, 0.1))
    with pytest.raises(ValueError, match="30 against 29"):
        difference_interval(reference, reference[1:], 200, 0.95, seed=1)


def test_chunks_do_not_change_the_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).random(7)
    whole = bootstrap_means(values, 50, seed=3)
    monkeypatch.setattr("thicket.statistics.intervals.CHUNK_ELEMENTS", 21)
    assert bootstrap_means(values, 50, seed=3).tolist() == whole.tolist()


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    generator, covered = np.random.default_rng(5), 0
    for trial in range(300):
        interval = mean_interval(generator.random(60) < 0.4, 400, 0.9, seed=trial)
        covered += interval.low <= 0.4 <= interval.high
    # 300 trials at 0.9: four standard deviations are 0.07.
    assert 0.83 <= covered / 300 <= 0.97


@pytest.mark.parametrize("values", [[], [float("nan")], [[1.0]]])
def test_bootstrap_refuses(values: list) -> None:
    with pytest.raises(ValueError, match=r"at least one value|not finite"):
        bootstrap_means(values, 10, seed=0)
