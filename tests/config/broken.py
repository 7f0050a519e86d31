"""Ways to break the sample project, and what `thicket check` has to say about each."""

from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

from commands import Command
from pydantic import TypeAdapter

from thicket.config.schema import tags

PARAMS = "params.yaml"
SORT, BASE, EVALUATION = "conf/domain/sort.yaml", "conf/base/toy.yaml", "conf/evaluation/default.yaml"
GRPO, OPD, GENTLE = "conf/method/grpo.yaml", "conf/method/opd.yaml", "conf/method/grpo-gentle.yaml"

Change = tuple[str, str, str]
"""File, a text in it, the text that takes its place."""


@dataclass(frozen=True)
class Broken:
    """A fault, as edits of the sample's files, and the message for it."""

    name: str
    changes: tuple[Change, ...]
    message: str

    def __str__(self) -> str:
        return self.name


def broken(name: str, *parts: Change | str) -> Broken:
    """Edits, and the message as the last part."""
    *changes, message = parts
    assert isinstance(message, str)
    return Broken(name, tuple(change for change in changes if isinstance(change, tuple)), dedent(message).strip("\n"))


def apply(root: Path, changes: tuple[Change, ...]) -> None:
    """Edits a copy of the sample. An empty text to be replaced stands for the whole file, maybe a new one."""
    for file, old, new in changes:
        path = root / file
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        assert old in text, f"{file} has no {old!r} to be broken"
        path.write_text(text.replace(old, new, 1) if old else new, encoding="utf-8")


def edited(old: str, new: str) -> Change:
    """A change of params.yaml."""
    return PARAMS, old, new


def expect(case: Broken, sample: Path, command: Command) -> None:
    """`thicket check` says exactly the message, once for each problem, and ends with status 2."""
    apply(sample, case.changes)
    said = command("check")
    count = sum(not line.startswith(" ") for line in case.message.splitlines())
    assert said.err == f"{case.message}\n\n{count} problem{'s' if count > 1 else ''} in the configuration.\n"
    assert (said.status, said.out) == (2, "")


def keys(model: type[Any]) -> str:
    """The keys of a part of the schema, as a message lists them."""
    return ", ".join(sorted(model.model_fields))


def kinds(union: Any) -> str:
    """The types of a union, as a message lists them."""
    return ", ".join(sorted(tags(union)))


def words(literal: Any) -> str:
    """The options of a literal, as a message lists them."""
    return ", ".join(TypeAdapter(literal).json_schema()["enum"])


TRAINED = "used by: specialist sort-grpo, specialist reverse-grpo"
EVALUATED = "used by: evaluate tiny, evaluate sort-grpo, evaluate reverse-grpo, evaluate opd and 2 more"
