"""Figures with their resamples: arithmetic, Holm."""

import numpy as np
import pytest

from thicket.statistics.resampled import SHARE, UNBOUNDED, Resampled, along, holm, least, mean, most


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


def test_bounds_go_along() -> None:
    """Of what is made of shares it is known where it ends; of a quotient and a logarithm it is not."""
    share, other = (Resampled(value, np.array([value]), SHARE) for value in (0.4, 0.7))
    for made, bounds in (
        (share - other, (-1, 1)),
        (mean([share - other, share]), (-0.5, 1)),
        (share - 0.05, (-0.05, 0.95)),
        (0.5 - share, (-0.5, 0.5)),
        (-2 * share, (-2, 0)),
        (0 * figure(1.0, 1.0), (0, 0)),
        (least(share, share + 1), (0, 1)),
        (most(share, share + 1), (1, 2)),
        (along([share, other], [share, -share], other), (-1, 1)),
        (share + figure(1.0, 1.0), UNBOUNDED),
        (share / other, UNBOUNDED),
        (share.log(), UNBOUNDED),
    ):
        assert made.bounds == pytest.approx(bounds)


def test_along_straight_lines() -> None:
    # From (0, 0) to (4, 8), and back to (2, 1): at 3 first on the way there.
    xs = [figure(0.0, 0.0, 1.0), figure(4.0, 4.0, 2.0), figure(2.0, 2.0, 3.0)]
    ys = [figure(0.0, 0.0, 0.0), figure(8.0, 8.0, 6.0), figure(1.0, 1.0, 2.0)]
    found = along(xs, ys, figure(3.0, 1.0, 1.5))
    assert found.value == 6.0
    # The second resample has (1, 0), (2, 6), (3, 2): at 1.5, 3.
    np.testing.assert_allclose(found.draws_R, [2.0, 3.0])
    ends = along(xs, ys, figure(9.0, -1.0, 9.0))
    assert ends.value == 8.0
    np.testing.assert_allclose(ends.draws_R, [0.0, 2.0])
    np.testing.assert_allclose(most(*xs).draws_R, [4.0, 3.0])


def test_what_has_no_value_is_left_out() -> None:
    found = figure(1.0, 1.0, 2.0) / figure(1.0, 0.0, 1.0)
    assert np.isnan(found.draws_R[0])
    assert found.draws_R[1] == 2.0
    assert np.isnan((figure(1.0, 1.0) / 0.0).value)


def test_holm_by_hand() -> None:
    # Holm (1979): 3 × .01, 2 × .03, 1 × .04, each at least the one before.
    assert holm([0.03, 0.01, 0.04]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []


def test_without_any() -> None:
    with pytest.raises(ValueError, match="at least one"):
        mean([])
