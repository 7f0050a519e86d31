"""Discordance: by hand, against loops over perturbations and pairs, and on planted scores."""

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from thicket.statistics.discordance import (
    ceilings,
    pair_mean,
    percentile_ranks,
    permutation_null,
    rank_correlations,
    reliability,
)
from thicket.statistics.resamples import resamples, whole

Floats = NDArray[np.float64]


def naive_ranks(scores: Floats) -> Floats:
    """(rank − ½)/N, ties at the mean of their ranks, one perturbation after another."""
    below = [sum(other < one for other in scores) for one in scores]
    equal = [sum(other == one for other in scores) for one in scores]
    return np.array([b + e / 2 for b, e in zip(below, equal, strict=True)]) / len(scores)


def naive_discordance(scores_NM: Floats) -> float:
    ranks = [naive_ranks(scores_N) for scores_N in scores_NM.T]
    pairs = list(itertools.permutations(range(len(ranks)), 2))
    return 1 - sum(float(np.corrcoef(ranks[j], ranks[k])[0, 1]) for j, k in pairs) / len(pairs)


def discordance(scores_NM: Floats) -> float:
    return 1 - float(pair_mean(rank_correlations(scores_NM, whole(len(scores_NM))))[0])


def test_mid_ranks_by_hand() -> None:
    ranks = percentile_ranks([0.2, 0.9, 0.2, 0.5], whole(4))
    assert ranks.tolist() == [[0.25, 0.875, 0.25, 0.625]]


def test_two_tasks_by_hand() -> None:
    """Ranks 1 2 3 4 and 2 1 4 3: Spearman's 1 − 6·4/(4·15) = 0.6."""
    scores = np.array([[1, 20], [2, 10], [3, 40], [4, 30]], dtype=float)
    assert discordance(scores) == pytest.approx(0.4, abs=1e-12)


def test_many_tasks_with_ties_against_loops() -> None:
    scores = np.random.default_rng(0).integers(0, 5, size=(23, 4)).astype(float)
    assert discordance(scores) == pytest.approx(naive_discordance(scores), abs=1e-12)


def test_a_resample_is_the_sample_with_its_rows_repeated() -> None:
    scores = np.random.default_rng(1).integers(0, 6, size=(15, 3)).astype(float)
    times_RN = resamples(15, 4, [7])
    assert times_RN.sum(axis=1).tolist() == [15] * 4
    found = 1 - pair_mean(rank_correlations(scores, times_RN))
    drawn = [np.repeat(scores, times_N.astype(int), axis=0) for times_N in times_RN]
    assert found.tolist() == pytest.approx([naive_discordance(rows) for rows in drawn], abs=1e-12)


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    scores, times_RN = np.random.default_rng(2).random((10, 3)), resamples(10, 7, [0])
    at_once = rank_correlations(scores, times_RN)
    monkeypatch.setattr("thicket.statistics.discordance.CHUNK_ELEMENTS", 60)
    assert rank_correlations(scores, times_RN).tolist() == at_once.tolist()


@pytest.mark.parametrize("tasks", [2, 5])
def test_identical_tasks(tasks: int) -> None:
    scores = np.repeat(np.random.default_rng(3).random((30, 1)), tasks, axis=1)
    assert discordance(scores) == pytest.approx(0.0, abs=1e-12)


def test_the_most_is_two_for_two_tasks() -> None:
    scores = np.arange(20.0)
    assert discordance(np.stack([scores, -scores], axis=1)) == pytest.approx(2.0)


def test_independent_tasks() -> None:
    """Six correlations of 2000 perturbations: a standard error of 0.009."""
    assert discordance(np.random.default_rng(4).random((2000, 4))) == pytest.approx(1.0, abs=0.04)


def test_a_task_without_differences_has_no_ranks() -> None:
    scores = np.random.default_rng(5).random((12, 3))
    scores[:, 1] = 0.4
    found = rank_correlations(scores, whole(12))[0]
    assert np.isnan(found[1]).all()
    assert np.isnan(found[:, 1]).all()
    assert discordance(scores) == pytest.approx(discordance(scores[:, [0, 2]]))
    assert np.isnan(discordance(scores[:, [0, 1]]))


def test_reliability_against_loops() -> None:
    """The same splits, ranks by counting, and Spearman–Brown of the mean."""
    correct = np.random.default_rng(6).random((25, 9)) < np.linspace(0.1, 0.9, 25)[:, None]
    generator, found = np.random.default_rng([3]), []
    for _ in range(5):
        drawn = generator.permutation(9)
        a, b = (naive_ranks(correct[:, part].sum(axis=1)) for part in (drawn[:4], drawn[4:8]))
        found.append(np.corrcoef(a, b)[0, 1])
    h = float(np.mean(found))
    assert reliability(correct, 5, [3], whole(25))[0] == pytest.approx(2 * h / (1 + h), abs=1e-12)


def test_reliability_of_equal_items_is_one_and_of_single_ones_unknown() -> None:
    column = np.random.default_rng(7).random((20, 1)) < 0.5
    assert reliability(np.repeat(column, 6, axis=1), 4, [0], whole(20))[0] == pytest.approx(1.0)
    assert np.isnan(reliability(column, 4, [0], whole(20))[0])
    assert np.isnan(reliability(np.ones((20, 6), dtype=bool), 4, [0], whole(20))[0])


def test_ceilings() -> None:
    found = ceilings(np.array([[0.25, 0.64, -0.1]]))[0]
    assert found[0, 1] == pytest.approx(0.4)
    assert np.isnan(found[2]).all()


@pytest.mark.parametrize("truth", [-0.5, 0.0, 0.8])
def test_the_correction_undoes_the_noise_of_the_items(truth: float) -> None:
    """Abilities of two tasks with a known correlation, seen through 12 coin tosses each."""
    generator, perturbations, items = np.random.default_rng(8), 4000, 12
    ability = generator.multivariate_normal([0, 0], [[1, truth], [truth, 1]], size=perturbations)
    # Abilities of this correlation have ranks of (6/π) arcsin(truth/2) (Pearson 1907).
    expected = 6 / np.pi * np.arcsin(truth / 2)
    correct = generator.random((2, perturbations, items)) < (0.5 + 0.13 * ability.T[:, :, None])
    times = whole(perturbations)
    raw = rank_correlations(correct.sum(axis=2).T, times)
    reliabilities = np.stack([reliability(one, 20, [task], times) for task, one in enumerate(correct)], axis=1)
    corrected = float((raw / ceilings(reliabilities))[0, 0, 1])
    assert corrected == pytest.approx(expected, abs=0.06)
    if truth:
        assert abs(raw[0, 0, 1]) < 0.6 * abs(expected), "there was noise to undo"


def test_the_null_holds_what_is_independent_and_not_what_agrees() -> None:
    generator = np.random.default_rng(9)
    independent = generator.integers(0, 9, size=(60, 3)).astype(float)
    null_P = permutation_null(independent, 400, [0])
    low, high = np.quantile(null_P, [0.025, 0.975])
    assert low < discordance(independent) < high
    assert float(null_P.mean()) == pytest.approx(1.0, abs=0.02)
    agreeing = independent[:, :1] + generator.integers(0, 3, size=(60, 3)).astype(float)
    low, _ = np.quantile(permutation_null(agreeing, 400, [0]), [0.025, 0.975])
    assert discordance(agreeing) < low


def test_the_null_is_of_permuted_columns() -> None:
    scores = np.random.default_rng(10).integers(0, 4, size=(8, 2)).astype(float)
    found = permutation_null(scores, 300, [1])
    possible = {round(naive_discordance(np.stack([scores[:, 0], order], axis=1)), 9) for order in orders(scores[:, 1])}
    assert set(found.round(9)) <= possible
    assert len(set(found.round(9))) > 5
    scores[:, 1] = 1.0
    assert np.isnan(permutation_null(scores, 3, [1])).all()


def orders(values: Floats) -> set[tuple[float, ...]]:
    return set(itertools.permutations(values.tolist()))
