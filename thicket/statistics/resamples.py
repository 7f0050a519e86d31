"""Bootstrap resamples as counts: how often each of them holds each unit. Legend: N units, R resamples."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def whole(count: int) -> Floats:
    """times_1N of the sample itself: each unit once."""
    return np.ones((1, count))


def resamples(count: int, number: int, seed: Sequence[int]) -> Floats:
    """times_RN of so many resamples of the units."""
    return np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=number).astype(np.float64)
