"""What a verifier says of a response."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Verdict:
    """Correct or not, and why not where there is a name for it."""

    correct: bool
    reason: str = ""
    """Why a response failed in a way that its text doesn't show: `time limit`, `memory limit`, …; else empty."""
    flops: float = 0.0
    """What a language model took to judge it, as the ledgers count (2 a parameter and token); 0 for a check."""

    def __post_init__(self) -> None:
        if not isinstance(self.correct, bool):
            raise ValueError(f"a verdict is true or false, not {self.correct!r:.40}: grades between are not taken")
