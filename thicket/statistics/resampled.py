"""A figure with its bootstrap resamples, so that what is made of figures has its own. Legend: R resamples."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


Bounds = tuple[float, float]
UNBOUNDED: Bounds = (-np.inf, np.inf)
SHARE: Bounds = (0.0, 1.0)
CORRELATION: Bounds = (-1.0, 1.0)


@dataclass(frozen=True)
class Resampled:
    """A value, and the same of each resample; arithmetic goes through both, resample by resample.

    Figures over the same units with the same draws are paired by that.
    """

    value: float
    draws_R: Floats
    bounds: Bounds = UNBOUNDED
    """Between which the truth lies, whatever was measured. Sums keep it: the difference of two shares lies between −1
    and 1. A quotient has none."""

    def __add__(self, other: "Resampled | float") -> "Resampled":
        low, high = other.bounds if isinstance(other, Resampled) else (other, other)
        return _both(np.add, self, other, (self.bounds[0] + low, self.bounds[1] + high))

    def __sub__(self, other: "Resampled | float") -> "Resampled":
        return self + -other

    def __rsub__(self, other: float) -> "Resampled":
        return -self + other

    def __mul__(self, other: float) -> "Resampled":
        low, high = sorted(bound * other if other else 0.0 for bound in self.bounds)
        return _both(np.multiply, self, other, (low, high))

    def __truediv__(self, other: "Resampled | float") -> "Resampled":
        """NaN where the divisor is 0."""
        with np.errstate(divide="ignore", invalid="ignore"):
            made = _both(np.divide, self, other, UNBOUNDED)
        return Resampled(_finite(made.value), np.where(np.isfinite(made.draws_R), made.draws_R, np.nan))

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self) -> "Resampled":
        return self * -1.0

    def log(self) -> "Resampled":
        """The natural logarithm; NaN where the value is not above 0."""
        with np.errstate(divide="ignore", invalid="ignore"):
            logs_R = np.log(self.draws_R)
            return Resampled(_finite(float(np.log(self.value))), np.where(np.isfinite(logs_R), logs_R, np.nan))


def least(*figures: Resampled) -> Resampled:
    """The smallest of some figures, in each resample: above 0 where all of them are."""
    draws_R = np.minimum.reduce([one.draws_R for one in figures])
    low, high = (min(one.bounds[end] for one in figures) for end in (0, 1))
    return Resampled(float(np.min([one.value for one in figures])), draws_R, (low, high))


def most(*figures: Resampled) -> Resampled:
    """The largest of some figures, in each resample."""
    return -least(*(-one for one in figures))


def along(xs: Sequence[Resampled], ys: Sequence[Resampled], at: Resampled) -> Resampled:
    """y where x first comes to `at`, in each resample, on the straight lines from point to point in their order.

    Where the first x is there already it is the first y; where none comes to it, the y at the largest x.
    """
    x_PR, y_PR = (np.stack([one.draws_R for one in part]) for part in (xs, ys))
    draws = [_interpolated(x_PR[:, place], y_PR[:, place], float(x)) for place, x in enumerate(at.draws_R)]
    x_P, y_P = (np.array([one.value for one in part]) for part in (xs, ys))
    bounds = min(one.bounds[0] for one in ys), max(one.bounds[1] for one in ys)
    return Resampled(_interpolated(x_P, y_P, at.value), np.array(draws), bounds)


def _interpolated(x_P: Floats, y_P: Floats, x: float) -> float:
    there = np.flatnonzero(x_P >= x)
    place = int(there[0]) if there.size else int(np.argmax(x_P))
    if place == 0 or not there.size:
        return float(y_P[place])
    start, end = x_P[place - 1], x_P[place]
    return float(y_P[place - 1] + (y_P[place] - y_P[place - 1]) * (x - start) / (end - start))


def mean(figures: Sequence[Resampled]) -> Resampled:
    """The mean of some figures, in each resample. Raises: ValueError without any."""
    if not figures:
        raise ValueError("a mean needs at least one figure")
    draws_R = np.mean([one.draws_R for one in figures], axis=0)
    low, high = (float(np.mean([one.bounds[end] for one in figures])) for end in (0, 1))
    return Resampled(float(np.mean([one.value for one in figures])), draws_R, (low, high))


def constant(value: float, resamples: int) -> Resampled:
    """A figure that nothing was resampled of."""
    return Resampled(value, np.full(resamples, value))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values (Holm 1979): the least level at which the step-down procedure rejects each."""
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    adjusted, so_far = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        so_far = max(so_far, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = so_far
    return adjusted


def _both(make: Callable[..., Floats], one: Resampled, other: Resampled | float, bounds: Bounds) -> Resampled:
    values = [part.value if isinstance(part, Resampled) else part for part in (one, other)]
    draws = [part.draws_R if isinstance(part, Resampled) else part for part in (one, other)]
    return Resampled(float(make(*map(np.float64, values))), make(*draws), bounds)


def _finite(value: float) -> float:
    return value if np.isfinite(value) else float("nan")
