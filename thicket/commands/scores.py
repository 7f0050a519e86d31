"""Scores of two models on the same items, side by side."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thicket.config.stages import ReportedModel, ReportStage
from thicket.reporting.inputs import PASS_AT_1, Inputs, interval_of, read_inputs
from thicket.reporting.results import GREEDY
from thicket.statistics.intervals import Interval, difference_interval
from thicket.statistics.recovery import sum_interval

MEAN = "mean"


@dataclass(frozen=True)
class Pair:
    """A figure of both, on a domain."""

    domain: str
    figure: str
    left: Interval
    right: Interval
    difference: Interval
    """Right less left, over the same items."""


@dataclass(frozen=True)
class Pairs:
    """Two models' scores."""

    settings: dict[str, Any]
    pairs: list[Pair]


def paired(root: Path, left: str, right: str, domains: list[str], seed: int) -> Pairs:
    """Every domain's pass@1 and greedy score, and the means over domains.

    Raises: ValueError, with the files, where one is missing or broken, or where the two were scored on other items or
    in another way.
    """
    rows = [ReportedModel(name=name, kind="student", method="", type="") for name in (left, right)]
    found = read_inputs(ReportStage(name="report", experiment="", domains=domains, models=rows), root)
    sides = found[left], found[right]
    settings = sides[0].metrics["settings"]
    bootstrap = settings["resamples"], settings["confidence"], seed
    pairs: list[Pair] = []
    for figure in (PASS_AT_1, GREEDY):
        values = {domain: [_values(side, domain, figure) for side in sides] for domain in domains}
        known = {domain: (a, b) for domain, (a, b) in values.items() if a is not None and b is not None}
        for domain, (a, b) in known.items():
            scored = [interval_of(side.metrics["domains"][domain], figure) for side in sides]
            pairs.append(Pair(domain, figure, scored[0], scored[1], difference_interval(b, a, *bootstrap)))
        if len(known) > 1 and len(known) == len(domains):
            count = len(known)
            means = [sum_interval([v / count for v in one], *bootstrap) for one in zip(*known.values(), strict=True)]
            gaps = sum_interval([(b - a) / count for a, b in known.values()], *bootstrap)
            pairs.append(Pair(MEAN, figure, means[0], means[1], gaps))
    return Pairs(settings, pairs)


def _values(side: Inputs, domain: str, figure: str) -> NDArray[np.float64] | None:
    items = side.items[domain]
    return items.pass_at_1_N if figure == PASS_AT_1 else items.greedy_N
