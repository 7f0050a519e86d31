"""What a verifier says of a response."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Verdict:
    """Correct or not, and why not where there is a name for it."""

    correct: bool
    reason: str = ""
    """Why a response failed in a way that its text doesn't show: `time limit`, `memory limit`, …; else empty."""
