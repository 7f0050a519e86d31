"""A mean over seeds, with an error that counts both the seeds and what was resampled within them. Legend: S seeds."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import root_scalar
from scipy.special import gammaln, ndtr, stdtr, stdtrit

from thicket.statistics.intervals import Interval
from thicket.statistics.resampled import UNBOUNDED, Bounds, Resampled, mean

NOTHING = 1e-12
"""Error over size of the values: below it there is rounding and no spread."""
LOGARITHMS = np.linspace(-40.0, 10.0, 2001)
"""Of χ², where it is integrated over: e⁻⁴⁰ to e¹⁰, beyond which 1e-8 of a probability lies at one degree of freedom."""


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with the two parts of its variance.

    What the units vary by is known well, from many resamples; what the seeds vary by is known from S values alone, so
    that V_seeds (S − 1) / χ²_{S−1} stands for it, the rest being normal: Student's t at S − 1 degrees of freedom where
    the units have no part, the normal distribution where the seeds have none (the Behrens–Fisher problem with one
    variance known). Satterthwaite's degrees of freedom would be too many whenever the seeds happen to agree.
    """

    value: float
    units: float
    """V_units, the mean's variance by what was resampled."""
    between: float
    """V_seeds, the mean's variance by what the seeds vary by; 0 of one seed."""
    degrees: float
    """Of freedom of V_seeds: S − 1; of a difference of two groups, those of Welch."""
    least_p: float
    """Below which resamples tell nothing: 2 / (R + 1)."""
    bounds: Bounds = UNBOUNDED
    """Between which the truth lies in any case."""

    @property
    def error(self) -> float:
        """Standard error."""
        return float(np.sqrt(self.units + self.between))

    def interval(self, confidence: float) -> Interval:
        """What the test does not reject, of what is possible: it ends where the bounds do.

        That takes away what is impossible and nothing else: it holds the truth as often as Student's t does without
        bounds. Two seeds of Beta(95, 5): 94.5 % of the time, at a median length of .17; of Beta(9, 1), which scatters
        by as much as it lies from its end, 92 %. On a logit scale it would be 95 % of both, at lengths of .46 and .99,
        and the interval of a difference would contradict its p-value.
        Raises: ValueError where the confidence is not between 0 and 1.
        """
        if not 0 < confidence < 1:
            raise ValueError(f"a confidence lies between 0 and 1, not {confidence}")
        reach = self._reach(1 - confidence) if self.error else 0.0
        low, high = self.bounds
        return Interval(self.value, max(self.value - reach, low), min(self.value + reach, high))

    @property
    def p(self) -> float:
        """Two-sided, of the mean being 0; 1 where nothing varies, which says nothing of what would."""
        if self.error <= NOTHING * max(1.0, abs(self.value)):
            return 1.0
        return max(self._beyond(abs(self.value)), self.least_p)

    def _beyond(self, distance: float) -> float:
        """Probability that the mean lies so far from the truth, either way."""
        if not self.between:
            return float(2 * ndtr(-distance / np.sqrt(self.units)))
        if not self.units:
            return float(2 * stdtr(self.degrees, -distance / np.sqrt(self.between)))
        half = self.degrees / 2
        squares = np.exp(LOGARITHMS)
        density = np.exp(half * LOGARITHMS - squares / 2 - half * np.log(2) - gammaln(half))
        tails = 2 * ndtr(-distance / np.sqrt(self.units + self.between * self.degrees / squares))
        return float(np.trapezoid(density * tails, LOGARITHMS))

    def _reach(self, outside: float) -> float:
        """The distance beyond which that probability lies."""
        degrees = self.degrees if self.between else np.inf
        most = float(stdtrit(degrees, 1 - outside / 2)) * self.error
        if not (self.between and self.units):
            return most
        return float(root_scalar(lambda distance: self._beyond(distance) - outside, bracket=(0.0, 1.01 * most)).root)


def over_seeds(by_seed: Sequence[Resampled]) -> Estimate:
    """The mean over seeds, with V_units and V_seeds.

    V_units is the variance of the mean over resamples in which all seeds draw the same prompts, as prompts are common
    to them; V_seeds is that of the seeds' own values over S. A seed's value has the noise of its prompts in it, so that
    the sum is too large rather than too small. A bootstrap of the seeds themselves would be too small: three seeds that
    happen to agree, which pure noise does in a quarter of cases, agree in every resample. One seed: V_units alone.

    Raises: ValueError without seeds.
    """
    if not by_seed:
        raise ValueError("a mean over seeds needs at least one")
    values_S = np.array([one.value for one in by_seed])
    draws_R = np.mean([one.draws_R for one in by_seed], axis=0)
    known_R, seeds = draws_R[np.isfinite(draws_R)], values_S.size
    units = float(known_R.var(ddof=1)) if known_R.size > 1 else 0.0
    between = float(values_S.var(ddof=1)) / seeds if seeds > 1 else 0.0
    bounds = mean(by_seed).bounds
    return Estimate(float(values_S.mean()), units, between, seeds - 1, 2 / (draws_R.size + 1), bounds)


def difference_over_seeds(ones: Sequence[Resampled], others: Sequence[Resampled]) -> Estimate:
    """The mean of some seeds less that of others, which are independent of them (Welch 1947).

    Units are common to all of them, so that V_units is that of the difference, as in `over_seeds`; V_seeds is the sum
    of both groups', with Satterthwaite's degrees of freedom. What one seed alone varies by is not known, and not in it.
    Raises: ValueError where a group is empty.
    """
    sides = over_seeds(ones), over_seeds(others)
    units = over_seeds([mean(ones) - mean(others)])
    between = sum(side.between for side in sides)
    spread = sum(side.between**2 / side.degrees for side in sides if side.between)
    return replace(units, between=between, degrees=between**2 / spread if spread else 0)
