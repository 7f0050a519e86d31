"""An item of a domain, its split, and the JSON lines that hold items on disk."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

SplitName = Literal["train", "selection", "test"]
SPLIT_NAMES: tuple[SplitName, ...] = ("train", "selection", "test")
Message = dict[str, str]


@dataclass(frozen=True)
class RawItem:
    """What a source yields: a question, the reference answer and a difficulty level."""

    question: str
    answer: str
    """The answer as a model should give it; empty where many answers are right, and no single one can be named."""
    level: int = 1
    reference: dict[str, Any] = field(default_factory=dict)
    """What a verifier needs beyond the answer, as JSON can hold it."""
    demonstration: str = ""
    """A worked solution, as a model should write it; empty where there is none beyond the answer."""


@dataclass(frozen=True)
class Item:
    """What the data stage writes: an item as it is put to a model."""

    id: str
    """Hash of the question; it also decides the split."""
    prompt: str | list[Message]
    """Plain text, or the messages of a chat (`role`, `content`)."""
    answer: str
    level: int
    reference: dict[str, Any] = field(default_factory=dict)
    demonstration: str = ""
    """What a model would be shown or taught to write: the worked solution, where there is none the answer, with the
    space before it that examples show; empty where many answers are right, and the source names none."""


def item_id(question: str) -> str:
    """Sixteen hexadecimal digits that name a question."""
    return hashlib.sha256(question.encode()).hexdigest()[:16]


def place_of(question: str, drawn: object) -> str:
    """Where a question comes in the order that a seed (or another item) draws: smaller first.

    A hash of the two, so that a row more or less moves no other one: of those that a cap keeps, at most one goes.
    """
    return item_id(f"{drawn}:{question}")


def split_of(identity: str, train_share: float, selection_share: float) -> SplitName:
    """The split that a question falls in: the hash as a number in [0, 1) against the cumulated shares."""
    position = int(identity, 16) / 16**16
    if position < train_share:
        return "train"
    return "selection" if position < train_share + selection_share else "test"


def write_items(path: Path, items: Iterable[Item]) -> None:
    """Writes items as JSON lines."""
    path.write_text("".join(json.dumps(asdict(item), ensure_ascii=False) + "\n" for item in items), encoding="utf-8")


def read_items(path: Path) -> list[Item]:
    """Reads what `write_items` wrote.

    Raises: ValueError, with file and line, where a line is not an item.
    """
    items = []
    # Not str.splitlines: it also breaks at characters that may stand inside a question (U+2028, U+0085).
    with path.open("rb") as file:  # Decoded line by line, so that the message can name the line.
        for number, line in enumerate(file, start=1):
            try:
                items.append(Item(**json.loads(line.decode())))
            except (ValueError, TypeError) as error:
                raise ValueError(f"{path}:{number}: not an item ({error})") from None
    return items
