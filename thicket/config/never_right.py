"""Answers that no response of a model can match, since they hold characters that none can."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

NEVER_RIGHT = "never_right"
"""Of ledgers (train items) and of evaluations' metrics: domain → how many; left out where there are none."""


@dataclass(frozen=True)
class NeverRight:
    """Items of a domain whose answers can never be right."""

    items: int
    of: int
    """All that are asked."""


Counts = Mapping[str, NeverRight]
"""By domain, those without such items left out."""


def as_noted(counts: Counts) -> dict[str, Any]:
    """What a ledger or an evaluation notes: nothing of none, which would widen tables of metrics."""
    return {NEVER_RIGHT: {domain: asdict(count) for domain, count in counts.items()}} if counts else {}


def noted_in(figures: Mapping[str, Any]) -> Counts:
    """What a ledger or an evaluation's metrics say."""
    return {domain: NeverRight(**count) for domain, count in figures.get(NEVER_RIGHT, {}).items()}


def in_words(counts: Counts, split: str, whose: str = "the model") -> str:
    """`12 of 40 test answers of own can never be right: they hold characters that no response of the model can`; empty
    where there are none."""
    told = ", ".join(f"{count.items} of {count.of} {split} answers of {domain}" for domain, count in counts.items())
    return told and f"{told} can never be right: they hold characters that no response of {whose} can"
