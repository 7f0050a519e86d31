"""The sample project, and what a command of thicket did."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SAMPLE = Path(__file__).parent / "sample"


@dataclass(frozen=True)
class Said:
    """What a command ended with and printed."""

    status: int
    out: str
    err: str


Command = Callable[..., Said]
"""`command("check")` calls `thicket check` in the working folder."""
Run = Callable[[Path, Any], Said]
"""`run(root, stage)` runs a stage as the command line does."""
