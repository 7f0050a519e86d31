"""Where the axis of a picture of shares ends."""

from collections.abc import Iterable

from thicket.reporting.text import PERCENT, SPACE

ENDS = (5, 10, 20, 30, 40, 50)
"""Percent: where the axis of low shares may end; that of others ends at 100."""


def axis_end(shares: Iterable[float]) -> int:
    """Percent: a round number above all shares where they are far below 1, else 100."""
    most = max(shares, default=1.0) * PERCENT
    return next((end for end in ENDS if most < end), PERCENT)


def cut(end: int) -> str:
    """What a label says, after its own words, of an axis that ends before 100 %."""
    return f", axis to {end}{SPACE}%" if end < PERCENT else ""
