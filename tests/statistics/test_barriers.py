"""Barriers by hand, and in every resample against loops."""

import numpy as np
import pytest

from thicket.statistics.barriers import above_chord, barrier, barrier_above_mean, mean_scores
from thicket.statistics.resamples import resamples, whole

THIRDS = [0.0, 0.5, 1.0]


def figures(scores: list[list[float]], alphas: list[float]) -> tuple[float, float]:
    means_1A = mean_scores(scores, whole(len(scores[0])))
    return float(barrier(means_1A, alphas)[0]), float(barrier_above_mean(means_1A)[0])


@pytest.mark.parametrize(
    ("scores", "chord", "above_mean"),
    [
        ([[1, 1], [0, 0], [1, 1]], 1.0, 1.0),
        ([[1, 1], [1, 1], [1, 1]], 0.0, 0.0),
        ([[0, 0], [0, 1], [1, 1]], 0.0, 0.5),  # A slope: Frankle's form calls half of it a barrier.
        ([[0, 0], [1, 1], [0, 0]], -1.0, 0.0),
        ([[1, 0], [0, 0], [1, 1]], 0.75, 0.75),
    ],
)
def test_by_hand(scores: list[list[float]], chord: float, above_mean: float) -> None:
    assert figures(scores, THIRDS) == (chord, above_mean)


def test_uneven_weights() -> None:
    """Chord from 0.2 at α = 0 to 1 at α = 1; at 0.25 it is 0.4, at 0.5 0.6."""
    means_1A = np.array([[0.2, 0.35, 0.5, 1.0]])
    excess_1A = above_chord(means_1A, [0.0, 0.25, 0.5, 1.0])
    np.testing.assert_allclose(excess_1A, [[0.0, 0.05, 0.1, 0.0]], atol=1e-15)


def test_equal_scores_give_exactly_nothing() -> None:
    means_1A = np.full((1, 11), 1 / 3)
    assert (above_chord(means_1A, np.linspace(0, 1, 11).tolist()) == 0).all()


def test_against_loops() -> None:
    generator = np.random.default_rng(0)
    scores_AI, alphas = generator.random((5, 7)), [0.0, 0.2, 0.5, 0.9, 1.0]
    times_RI = resamples(7, 20, [1])
    found_R = barrier(mean_scores(scores_AI, times_RI), alphas)
    frankle_R = barrier_above_mean(mean_scores(scores_AI, times_RI))
    for number, times_I in enumerate(times_RI):
        drawn = [item for item, times in enumerate(times_I) for _ in range(int(times))]
        errors = [1 - sum(row[item] for item in drawn) / 7 for row in scores_AI]
        gaps = [e - (a * errors[-1] + (1 - a) * errors[0]) for a, e in zip(alphas, errors, strict=True)]
        assert found_R[number] == pytest.approx(max(gaps[1:-1]))
        assert frankle_R[number] == pytest.approx(max(errors) - (errors[0] + errors[-1]) / 2)


def test_the_largest_of_noisy_values_is_too_high() -> None:
    """Scores of a flat line: the barrier's mean is above 0, the middle's is not."""
    generator, alphas = np.random.default_rng(0), np.linspace(0, 1, 11).tolist()
    means_RA = generator.binomial(64, 0.5, size=(4000, 11)) / 64
    assert barrier(means_RA, alphas).mean() > 0.05
    assert abs(above_chord(means_RA, alphas)[:, 5].mean()) < 0.005


@pytest.mark.parametrize(
    "alphas", [[0.0, 1.0], [0.0, 0.5, 0.9], [0.1, 0.5, 1.0], [0.0, 0.5, 0.5, 1.0], [1.0, 0.5, 0.0]]
)
def test_what_is_no_line(alphas: list[float]) -> None:
    with pytest.raises(ValueError, match="rise from 0 to 1"):
        barrier(np.zeros((1, len(alphas))), alphas)


def test_shapes_have_to_fit() -> None:
    with pytest.raises(ValueError, match="not of 4 items"):
        mean_scores(np.zeros((3, 5)), whole(4))
    with pytest.raises(ValueError, match="4 points"):
        barrier(np.zeros((1, 4)), THIRDS)
