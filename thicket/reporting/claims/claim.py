"""A claim, what was measured for it, and the rule that makes a verdict of that."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from thicket.reporting.claims.evidence import Evidence
from thicket.statistics.intervals import Interval
from thicket.statistics.resampled import Resampled, holm, mean
from thicket.statistics.seeds import Estimate, over_seeds

Verdict = Literal["supported", "not supported", "undecided at this scale", "not measured"]
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Measured:
    """What one seed says."""

    seed: int
    value: Resampled
    """What the statement is about."""
    control: Resampled | None
    """What it is held against: another method, another size, a threshold; None: 0."""
    effect: Resampled | Mapping[str, Resampled]
    """Above 0 where the statement holds on this seed; of a statement of several parts, each by its name."""

    @property
    def parts(self) -> Mapping[str, Resampled]:
        """The effects by name; of a statement of one part, by none."""
        return {"": self.effect} if isinstance(self.effect, Resampled) else self.effect


@dataclass(frozen=True)
class Effect:
    """What all seeds say of a statement: the part that decides."""

    part: str
    found: Estimate
    p: float
    """Two-sided. Where every part is above 0, the largest of the parts', as the statement needs them all; else the
    smallest of those below 0, times the number of parts, as one is enough to refute it."""


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
    supported where it rejects and the effect is below; else, and with too few seeds, undecided. Of what nothing in the
    experiment speaks, it is not measured.

    The parts of a statement are judged over seeds one by one: the mean over seeds of each seed's smallest part would
    lie below 0 by chance alone.
    """
    found = [_kept(claim.measure(evidence)) for claim in claims]
    effects = [_effect(part) if part else None for part in found]
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
    """Those that have a value, the mean of those of one seed; seeds with all the parts that any of them has.

    What a later seed measured of models with equal weights is left out: it is what the earlier one has measured.
    """
    by_seed: dict[int, list[Measured]] = {}
    for one in measured:
        if all(np.isfinite(part.value) for part in one.parts.values()):
            by_seed.setdefault(one.seed, []).append(one)
    names = {name for found in by_seed.values() for one in found for name in one.parts}
    merged = [_merged(seed, found) for seed, found in sorted(by_seed.items())]
    whole = [one for one in merged if set(one.parts) == names]
    return [one for place, one in enumerate(whole) if not any(_is_copy(one, other) for other in whole[:place])]


def _is_copy(one: Measured, other: Measured) -> bool:
    """Whether two seeds say the same in every resample. Where nothing varies that tells nothing of their weights."""
    pairs = [(one.value, other.value), *((part, other.parts[name]) for name, part in one.parts.items())]
    same = all(left.value == right.value and np.array_equal(left.draws_R, right.draws_R) for left, right in pairs)
    return same and any(np.ptp(part.draws_R) > 0 for part, _ in pairs)


def _merged(seed: int, found: list[Measured]) -> Measured:
    controls = [one.control for one in found if one.control is not None]
    return Measured(
        seed,
        mean([one.value for one in found]),
        mean(controls) if controls else None,
        {name: mean([one.parts[name] for one in found if name in one.parts]) for name in found[0].parts},
    )


def _effect(measured: list[Measured]) -> Effect:
    parts = {name: over_seeds([one.parts[name] for one in measured]) for name in measured[0].parts}
    below = {name: found for name, found in parts.items() if not found.value > 0}
    decides = min(below, key=lambda name: below[name].p) if below else max(parts, key=lambda name: parts[name].p)
    return Effect(decides, parts[decides], min(1.0, parts[decides].p * (len(parts) if below else 1)))


def _row(
    claim: Claim, measured: list[Measured], effect: Effect | None, adjusted: float | None, evidence: Evidence
) -> Row:
    if effect is None:
        return Row(claim, [], None, None, None, None, None, "not measured", f"it needs {claim.needs}")
    controls = [one.control for one in measured if one.control is not None]
    verdict, why = _verdict(effect, adjusted, len(measured), evidence)
    return Row(
        claim=claim,
        seeds=[one.seed for one in measured],
        value=over_seeds([one.value for one in measured]).interval(CONFIDENCE),
        control=over_seeds(controls).interval(CONFIDENCE) if controls else None,
        effect=effect.found.interval(CONFIDENCE),
        p=None if adjusted is None else effect.p,
        adjusted=adjusted,
        verdict=verdict,
        why=why,
    )


def _verdict(effect: Effect, adjusted: float | None, seeds: int, evidence: Evidence) -> tuple[Verdict, str]:
    value, part = effect.found.value, f" ({effect.part})" if effect.part else ""
    side = "above" if value > 0 else "below"
    if adjusted is None:
        needed = evidence.stage.seeds_needed
        return "undecided at this scale", f"{seeds} of {needed} seeds; the effect{part} is {side} 0 on average"
    if adjusted > evidence.stage.level:
        return "undecided at this scale", f"the effect{part} is not told from 0 (p {adjusted:.3g} after Holm)"
    verdict: Verdict = "supported" if value > 0 else "not supported"
    return verdict, f"the effect{part} is {side} 0 (p {adjusted:.3g} after Holm)"
