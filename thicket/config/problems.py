"""Configuration errors as people read them: where, what was given, what is wrong, what is allowed, the nearest match."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong with a configuration."""

    where: str
    """File and line, or the override, that set the value."""
    path: str
    """Dotted path of the value."""
    given: str
    """The value as it was given; empty where something is missing."""
    wrong: str
    """What is wrong with it."""
    allowed: str = ""
    nearest: str = ""
    users: tuple[str, ...] = ()
    """The stages whose config holds the value."""

    def __str__(self) -> str:
        head = f"{self.where}: {self.path}" + (f" = {self.given}" if self.given else "")
        lines = [f"{head}: {self.wrong}"]
        if self.allowed:
            lines.append(f"    allowed: {self.allowed}")
        if self.nearest:
            lines.append(f"    did you mean: {self.nearest}")
        if self.users:
            shown = ", ".join(self.users[:4]) + (f" and {len(self.users) - 4} more" if len(self.users) > 4 else "")
            lines.append(f"    used by: {shown}")
        return "\n".join(lines)


class ConfigError(Exception):
    """All the problems of a configuration, found in one pass."""

    def __init__(self, problems: Iterable[Problem]):
        self.problems = merged(problems)
        super().__init__("\n".join(map(str, self.problems)))


def merged(problems: Iterable[Problem]) -> list[Problem]:
    """One problem for each fault: a value that many stages use is reported once, with its users."""
    users: dict[Problem, list[str]] = {}
    for problem in problems:
        known = users.setdefault(replace(problem, users=()), [])
        known.extend(user for user in problem.users if user not in known)
    return sorted(replace(problem, users=tuple(names)) for problem, names in users.items())


def nearest(given: object, allowed: Sequence[str]) -> str:
    """The allowed word that a typo most likely meant, or nothing."""
    return next(iter(difflib.get_close_matches(str(given), allowed, n=1, cutoff=0.5)), "")


def dotted(path: tuple[str | int, ...]) -> str:
    """`('teachers', 0, 'model')` → `teachers[0].model`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text
