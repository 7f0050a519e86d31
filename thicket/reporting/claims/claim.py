"""A claim, what was measured for it, and the rule that makes a verdict of that."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from thicket.reporting.claims.evidence import Evidence
from thicket.statistics.intervals import Interval
from thicket.statistics.resampled import Resampled, holm, mean
from thicket.statistics.seeds import Estimate, over_seeds

Verdict = Literal["supported", "not supported", "undecided at this scale"]
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Measured:
    """What one seed says."""

    seed: int
    value: Resampled
    """What the statement is about."""
    control: Resampled | None
    """What it is held against: another method, another size, a threshold; None: 0."""
    effect: Resampled
    """Above 0 where the statement holds on this seed."""


@dataclass(frozen=True)
class Claim:
    """A statement, and how it is measured."""

    name: str
    statement: str
    figure: str
    """What the text or its sources give for it."""
    value: str
    """What is measured, with its unit."""
    control: str
    """What it is held against."""
    rule: str
    """When the effect is above 0."""
    needs: str
    """What an experiment has to declare for it."""
    decides: str
    """The base and command that would decide it at the scale of its source."""
    measure: Callable[[Evidence], Iterable[Measured]]


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    claim: Claim
    seeds: Sequence[int]
    value: Interval | None
    control: Interval | None
    effect: Interval | None
    p: float | None
    """Two-sided, of the effect; None with too few seeds."""
    adjusted: float | None
    """The same by Holm's procedure over all rows that have one."""
    verdict: Verdict
    why: str


def judge(claims: Sequence[Claim], evidence: Evidence) -> list[Row]:
    """The table. A claim is supported where Holm's procedure rejects an effect of 0 and the effect is above it, not
    supported where it rejects and the effect is below; else, and with too few seeds, undecided."""
    found = [_kept(claim.measure(evidence)) for claim in claims]
    effects = [over_seeds([one.effect for one in part]) if part else None for part in found]
    tested = {
        place: effect.p
        for place, (part, effect) in enumerate(zip(found, effects, strict=True))
        if effect is not None and len(part) >= evidence.stage.seeds_needed
    }
    adjusted = dict(zip(tested, holm(list(tested.values())), strict=True))
    return [
        _row(claim, part, effect, adjusted.get(place), evidence)
        for place, (claim, part, effect) in enumerate(zip(claims, found, effects, strict=True))
    ]


def _kept(measured: Iterable[Measured]) -> list[Measured]:
    """Those that have a value, the mean of those of one seed."""
    by_seed: dict[int, list[Measured]] = {}
    for one in measured:
        if np.isfinite(one.effect.value):
            by_seed.setdefault(one.seed, []).append(one)
    return [_merged(seed, found) for seed, found in sorted(by_seed.items())]


def _merged(seed: int, found: list[Measured]) -> Measured:
    controls = [one.control for one in found if one.control is not None]
    return Measured(
        seed,
        mean([one.value for one in found]),
        mean(controls) if controls else None,
        mean([one.effect for one in found]),
    )


def _row(
    claim: Claim, measured: list[Measured], effect: Estimate | None, adjusted: float | None, evidence: Evidence
) -> Row:
    if effect is None:
        return Row(claim, [], None, None, None, None, None, "undecided at this scale", f"not measured: {claim.needs}")
    controls = [one.control for one in measured if one.control is not None]
    verdict, why = _verdict(effect, adjusted, len(measured), evidence)
    return Row(
        claim=claim,
        seeds=[one.seed for one in measured],
        value=over_seeds([one.value for one in measured]).interval(CONFIDENCE),
        control=over_seeds(controls).interval(CONFIDENCE) if controls else None,
        effect=effect.interval(CONFIDENCE),
        p=None if adjusted is None else effect.p,
        adjusted=adjusted,
        verdict=verdict,
        why=why,
    )


def _verdict(effect: Estimate, adjusted: float | None, seeds: int, evidence: Evidence) -> tuple[Verdict, str]:
    side = "above" if effect.value > 0 else "below"
    if adjusted is None:
        needed = evidence.stage.seeds_needed
        return "undecided at this scale", f"{seeds} of {needed} seeds; the effect is {side} 0 on average"
    if adjusted > evidence.stage.level:
        return "undecided at this scale", f"the effect is not told from 0 (p {adjusted:.3g} after Holm)"
    verdict: Verdict = "supported" if effect.value > 0 else "not supported"
    return verdict, f"the effect is {side} 0 (p {adjusted:.3g} after Holm)"
