"""Configuration errors as people read them: where, what was given, what is wrong, what is allowed, what is nearest."""

import difflib
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

SHOWN_CHARACTERS = 80
"""The most of a value that a message quotes."""
LEAST_LIKENESS = 0.5
"""Of a nearest match: 0 is no letter in common, 1 the word itself."""
UNSEEN = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
"""Unicode's categories of control, format and half signs, and of its own line breaks."""
SHOWN_USERS = 4
"""The most stages that a message names."""
SHOWN_ALLOWED = 60
"""The most words of those that are allowed."""
COMMAND_LINE, OVERRIDE = "command line", "override"
"""How what stands on the command line is named in place of a file."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a configuration."""

    where: str
    """File and line, or the override, that set the value."""
    path: str
    """Dotted path of the value; empty where it is the whole file."""
    given: str
    """The value as it was given; empty where something is missing."""
    wrong: str
    """What is wrong with it."""
    allowed: str = ""
    nearest: str = ""
    users: tuple[str, ...] = ()
    """The stages whose config holds the value."""
    place: tuple[str | int, ...] = field(default=(), compare=False)
    """The path in parts, where the value stands in one of thicket's files."""

    def __str__(self) -> str:
        head = (f"{self.where}: {self.path}" if self.path else self.where) + (f" = {self.given}" if self.given else "")
        lines = [f"{head}: {self.wrong}"]
        if self.allowed:
            lines.append(f"    allowed: {_first(self.allowed.split(', '), SHOWN_ALLOWED)}")
        if self.nearest:
            lines.append(f"    did you mean: {self.nearest}")
        if self.users:
            lines.append(f"    used by: {_first(self.users, SHOWN_USERS)}")
        return "\n".join(lines)

    def order(self) -> tuple[str, int, str, str]:
        """File, line, path, fault: the order in which problems are shown."""
        file, _, line = self.where.rpartition(":")
        return (file, int(line), self.path, self.wrong) if line.isdecimal() else (self.where, 0, self.path, self.wrong)


def _first(words: Sequence[str], most: int) -> str:
    more = len(words) - most
    return ", ".join(words[:most]) + (f" and {more} more" if more > 0 else "")


class ConfigError(Exception):
    """All the problems of a configuration, found in one pass."""

    def __init__(self, problems: Iterable[Problem]):
        self.problems = merged(problems)
        super().__init__(printable("\n".join(map(str, self.problems))))


def counted(problems: Sequence[Problem]) -> str:
    """How many problems there are, and where people would look for them; of one that was just typed nothing."""
    typed = all(problem.where.startswith((COMMAND_LINE, OVERRIDE)) for problem in problems)
    if typed and len(problems) == 1:
        return ""
    where = "on the command line" if typed else "in the configuration"
    return f"{len(problems)} problem{'s' if len(problems) > 1 else ''} {where}."


def printable(text: str) -> str:
    """Text that can be shown anywhere: what would steer a terminal, or hide or turn other text, stands as its code."""
    return "".join(
        sign.encode("unicode_escape").decode() if unicodedata.category(sign) in UNSEEN and sign not in "\n\t" else sign
        for sign in text
    )


def merged(problems: Iterable[Problem]) -> list[Problem]:
    """One problem for each fault: a value that many stages use is reported once, with its users."""
    users: dict[Problem, list[str]] = {}
    for problem in problems:
        known = users.setdefault(replace(problem, users=()), [])
        known.extend(user for user in problem.users if user not in known)
    return sorted((replace(problem, users=tuple(names)) for problem, names in users.items()), key=Problem.order)


def nearest(given: object, allowed: Sequence[str]) -> str:
    """The allowed word that a typo most likely meant, or nothing: of equals the first.

    What counts is the share of letters in common, or of those that need no mending where that is more; of words that
    are equally alike, the one that takes the fewest mendings: `gpro` is grpo with two letters swapped.
    """
    typed = str(given)[:SHOWN_CHARACTERS]
    ranked = [(_likeness(typed, word), -mendings(typed, word), -place, word) for place, word in enumerate(allowed)]
    likeness, *_, word = max(ranked, default=(0.0, 0, 0, ""))
    return word if likeness >= LEAST_LIKENESS else ""


def _likeness(typed: str, word: str) -> float:
    mended = 1 - mendings(typed, word) / max(len(typed), len(word), 1)
    return max(mended, difflib.SequenceMatcher(None, word, typed).ratio())


def mendings(one: str, other: str) -> int:
    """Letters to put in, take out or change, and neighbours to swap, from one word to the other.

    The optimal string alignment distance: Damerau's, without a second edit of swapped letters.
    """
    rows = [list(range(len(other) + 1))]
    for i, letter in enumerate(one, start=1):
        row = [i]
        for j, wanted in enumerate(other, start=1):
            cost = min(rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + (letter != wanted))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == wanted:
                cost = min(cost, rows[-2][j - 2] + 1)
            row.append(cost)
        rows.append(row)
    return rows[-1][-1]


def shown(value: Any) -> str:
    """A value as a message quotes it: as YAML spells it, text in quotes, cut off where it is long."""
    text = _spelt(value)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"


def _spelt(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_spelt(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_spelt, value)) + "]"
    words = {None: "null", True: "true", False: "false"}
    return words[value] if value is None or isinstance(value, bool) else repr(value)


def dotted(path: tuple[str | int, ...]) -> str:
    """`('teachers', 0, 'model')` → `teachers[0].model`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text
