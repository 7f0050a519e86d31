"""What an analysis finds, in one form for all: statistics over units that can be resampled, and tables for figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Row = Mapping[str, float | int | str | None]


@dataclass(frozen=True)
class Statistic:
    """Σ_u amounts_u / Σ_u weights_u over U units that are drawn independently of one another.

    A share of positions has an item as its unit, with the positions of its responses as the weight; a mean has no
    weights. Intervals and the claims' tests resample the units.
    """

    name: str
    """In snake case, with the level where there are several: `js_below_0.01`."""
    domain: str
    """The domain that it was measured on, or `all`."""
    unit: str
    """`item`, `perturbation`, …: what is resampled."""
    amounts_U: Sequence[float]
    weights_U: Sequence[float] | None = None
    """None: 1 each."""
    of: str = ""
    """The model or the pair that it is about, where the analysis has several: `sort-grpo`, `sort-grpo~tiny`."""


@dataclass(frozen=True)
class Found:
    """All that an analysis found."""

    statistics: Sequence[Statistic]
    tables: Mapping[str, Sequence[Row]] = field(default_factory=dict)
    """Name → rows of one shape: what figures are drawn from; a CSV file each."""
    figures: Mapping[str, Any] = field(default_factory=dict)
    """What is neither: JSON values by name (quantiles, a null's interval, examples)."""
