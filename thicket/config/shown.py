"""Samples of a training, for people to read: `samples.jsonl` in a model's folder, a line each."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

FILE = "samples.jsonl"
DEMONSTRATION = "demonstration"
"""In a writer's place, where a text came with the data."""


@dataclass(frozen=True)
class Shown:
    """A response that a training learned from."""

    step: int
    """Counted from 1."""
    domain: str
    prompt: str
    response: str
    reward: float | None
    """None where none was given."""
    tokens: int
    """Of the response."""
    writer: str | None = None
    """Who wrote it: a model's name, or DEMONSTRATION; None: the model in training itself."""
    correct: bool | None = None
    """The verifier's word; None where it was not asked."""
    divergence: float | None = None
    """From its teachers, in nats: the mean over the response's tokens; None without teachers."""


def write_shown(folder: Path, shown: Iterable[Shown]) -> None:
    """Writes the samples; equal ones give equal bytes."""
    lines = (json.dumps(asdict(one), ensure_ascii=False) + "\n" for one in shown)
    (folder / FILE).write_text("".join(lines), encoding="utf-8", errors="replace")


def read_shown(folder: Path) -> list[Shown]:
    """A model's samples; none where its training left none. Raises: ValueError where the file is not one of samples."""
    path = folder / FILE
    if not path.is_file():
        return []
    try:
        with path.open(encoding="utf-8", newline="\n") as file:
            return [Shown(**json.loads(line)) for line in file]
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: not samples of a training ({error})") from None
