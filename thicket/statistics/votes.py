"""Majority votes over answers (arXiv 2203.11171; the rule for ties is that of Neural Thickets, arXiv 2603.12228)."""

from collections import Counter
from collections.abc import Sequence


def elected(answers: Sequence[str | None]) -> int | None:
    """The place of the first voter who gave the winning answer; None where nobody gave a valid one.

    The winner is the most common answer; ties go to the one that the highest-ranked voter gave. Voters come in the
    order of their rank; None and the empty text are not valid.
    """
    counts = Counter(answer for answer in answers if answer)
    most = max(counts.values(), default=0)
    return next((place for place, answer in enumerate(answers) if answer and counts[answer] == most), None)
