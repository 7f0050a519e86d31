"""What a verifier says of a response."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Verdict:
    """Correct or not, and why not where there is a name for it.

    Raises: ValueError where `correct` is no truth value, or the grade none between 0 and 1.
    """

    correct: bool
    """What scores count."""
    reason: str = ""
    """Why a response failed in a way that its text doesn't show: `time limit`, `memory limit`, …; else empty."""
    flops: float = 0.0
    """What a language model took to judge it, as the ledgers count (2 a parameter and token); 0 for a check."""
    grade: float | None = None
    """Partial credit, between 0 and 1: what training rewards. None: 1 for a correct response, 0 for another."""

    def __post_init__(self) -> None:
        if not isinstance(self.correct, bool):
            raise ValueError(
                f"a verdict is true or false, not {self.correct!r:.40}; partial credit is the grade of a "
                "Verdict(correct, grade=0.5)"
            )
        if self.grade is not None and not 0 <= self.grade <= 1:
            raise ValueError(f"a verdict's grade is between 0 and 1, not {self.grade!r:.40}")

    @property
    def earned(self) -> float:
        """The grade, or 1 or 0."""
        return float(self.correct) if self.grade is None else float(self.grade)
