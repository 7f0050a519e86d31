"""How much of what a training was rewarded for could teach it something.

A group is what rewards are compared within: the responses to a prompt, a batch where a critic is the baseline, the
population of a search. Where all of a group earn the same, no gradient and no choice comes of it.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

USEFUL = "useful"
"""Of learning curves and ledgers: the share of groups whose rewards differ."""
USELESS = "the rewards of a group never differed, so nothing was learnt from them"


def differ(rewards: Sequence[float]) -> bool:
    """Whether a group is useful."""
    return min(rewards) < max(rewards)


def mean_useful(rows: Iterable[Mapping[str, float]]) -> float | None:
    """The share over a whole training; None where no rewards were compared."""
    shares = [row[USEFUL] for row in rows if USEFUL in row]
    return sum(shares) / len(shares) if shares else None


def was_useless(ledger: Mapping[str, Any]) -> bool:
    """Whether a training was rewarded, and never differently."""
    return ledger.get(USEFUL) == 0
