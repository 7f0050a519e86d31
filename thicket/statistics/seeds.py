"""A mean over seeds, with an error that counts both the seeds and what was resampled within them. Legend: S seeds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit

from thicket.statistics.intervals import Interval
from thicket.statistics.resampled import Resampled


@dataclass(frozen=True)
class Estimate:
    """A mean that Student's t describes."""

    value: float
    error: float
    """Standard error."""
    degrees: float
    """Of freedom of the error; infinite where the seeds have no part in it."""
    least_p: float
    """Below which resamples tell nothing: 2 / (R + 1)."""

    def interval(self, confidence: float) -> Interval:
        """Raises: ValueError where the confidence is not between 0 and 1."""
        if not 0 < confidence < 1:
            raise ValueError(f"a confidence lies between 0 and 1, not {confidence}")
        reach = float(stdtrit(self.degrees, (1 + confidence) / 2)) * self.error if self.error else 0.0
        return Interval(self.value, self.value - reach, self.value + reach)

    @property
    def p(self) -> float:
        """Two-sided, of the mean being 0."""
        if self.value == 0:
            return 1.0
        tail = float(stdtr(self.degrees, -abs(self.value) / self.error)) if self.error else 0.0
        return max(2 * tail, self.least_p)


def over_seeds(by_seed: Sequence[Resampled]) -> Estimate:
    """The mean over seeds. Its error is √(V_units + V_seeds).

    V_units is the variance of the mean over resamples in which all seeds draw the same prompts, as prompts are common
    to them; V_seeds is that of the seeds' own values over S. A seed's value has the noise of its prompts in it, so that
    the sum is too large rather than too small. A bootstrap of the seeds themselves would be too small: three seeds that
    happen to agree, which pure noise does in a quarter of cases, agree in every resample. The degrees of freedom are
    Satterthwaite's (1946), with S − 1 for the seeds and none lost for the units. One seed: V_units alone.

    Raises: ValueError without seeds.
    """
    if not by_seed:
        raise ValueError("a mean over seeds needs at least one")
    values_S = np.array([one.value for one in by_seed])
    draws_R = np.mean([one.draws_R for one in by_seed], axis=0)
    known_R, seeds = draws_R[np.isfinite(draws_R)], values_S.size
    units = float(known_R.var(ddof=1)) if known_R.size > 1 else 0.0
    between = float(values_S.var(ddof=1)) / seeds if seeds > 1 else 0.0
    degrees = (units + between) ** 2 / between**2 * (seeds - 1) if between else np.inf
    return Estimate(float(values_S.mean()), float(np.sqrt(units + between)), degrees, 2 / (draws_R.size + 1))
