"""The interface between a search in weight space and its loop (`thicket.training.search`)."""

from collections.abc import Sequence
from typing import Protocol

from thicket.models.perturb import Direction
from thicket.ops import draws

CANDIDATE = 5
"""Stream of draws: the seeds of perturbations."""


class SearchMethod(Protocol):
    """What a search decides. Candidates are numbered through; each `population` of them lies around one centre."""

    candidates: int
    """All that are to be scored."""
    population: int

    def direction(self, candidate: int) -> Direction:
        """Where a candidate lies, from its centre."""
        ...

    def may_stop(self, scored: int) -> bool:
        """Whether a spent budget can end the search after so many candidates."""
        ...

    def step(self, directions: Sequence[Direction], scores: Sequence[float]) -> list[Direction]:
        """Where the next centre lies, from a whole population around this one; nothing: it stays."""
        ...


def seed_of(seed: int, candidate: int) -> int:
    """The seed of a candidate's noise, below 2^63 as every seed in a file is."""
    return draws.key(seed, CANDIDATE, candidate) >> 1
