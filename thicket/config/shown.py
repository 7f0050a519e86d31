"""Samples of a training, for people to read: `samples.jsonl` in a model's folder, a line each."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

FILE = "samples.jsonl"


@dataclass(frozen=True)
class Shown:
    """A response of a training."""

    step: int
    """Counted from 1."""
    domain: str
    prompt: str
    response: str
    reward: float | None
    """None where nobody judged it."""
    tokens: int
    """Of the response."""
    own: bool
    """False: a teacher wrote it."""


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
