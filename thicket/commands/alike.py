"""Which scores can be held against each other: those of the same items, asked and judged in the same way."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from thicket.reporting.inputs import Scored, differing_tests
from thicket.reporting.text import joined

COLUMNS = "ks"
"""The setting that says which scores there are, and not how they are made."""
Key = TypeVar("Key")


@dataclass(frozen=True)
class Way(Generic[Key]):
    """Models whose scores on a domain can be held against each other."""

    models: list[Key]
    unlike: str
    """What tells their scores from those of the first way, in words; empty of that one itself."""


@dataclass(frozen=True)
class Alike:
    """The scores of some models, sorted by the way in which they were made."""

    ways: dict[str, dict[str, int]]
    """Domain → model → a number that scores share which can be held against each other; the first model's is 1."""
    note: str
    """What tells those of other numbers from 1; empty where there are none."""


def alike(scored: Mapping[str, Scored]) -> Alike:
    """Sorts evaluations by name."""
    numbers: dict[str, dict[str, int]] = {}
    apart: list[str] = []
    for domain in dict.fromkeys(domain for one in scored.values() for domain in one.metrics["domains"]):
        found = list(enumerate(ways(scored, domain), start=1))
        numbers[domain] = {name: number for number, way in found for name in way.models}
        apart += [f"{domain}: {number} is not scored as 1 is ({way.unlike})" for number, way in found[1:]]
    note = f"Scores that can't be held against each other, by the column “scored as”: {'; '.join(apart)}."
    return Alike(numbers, note if apart else "")


def ways(scored: Mapping[Key, Scored], domain: str) -> list[Way[Key]]:
    """Sorts the evaluations that have scores on a domain. One that names no test, as an earlier thicket's, counts as
    one of the same test."""
    groups: list[list[Key]] = []
    for name in (name for name, one in scored.items() if domain in one.metrics["domains"]):
        fitting = [group for group in groups if not any(_unlike(scored[o], scored[name], domain) for o in group)]
        if fitting:
            fitting[0].append(name)
        else:
            groups.append([name])

    def unlike(name: Key) -> str:
        found = (_unlike(scored[one], scored[name], domain) for one in groups[0])
        return next((joined(parts) for parts in found if parts), "")

    return [Way(group, unlike(group[0])) for group in groups]


def _unlike(one: Scored, other: Scored, domain: str) -> list[str]:
    """What tells the second evaluation from the first on a domain, in words."""
    ours, theirs = one.metrics["settings"], other.metrics["settings"]
    names = [name for name in {**ours, **theirs} if name != COLUMNS and theirs.get(name) != ours.get(name)]
    parts = [f"{name} {theirs.get(name)}, not {ours.get(name)}" for name in names]
    if only := {*one.items[domain].ids} ^ {*other.items[domain].ids}:
        return [*parts, f"{len(only)} item{'s' if len(only) > 1 else ''} that only one has"]
    return parts + [f"another {part}" for part in differing_tests(one, other, [domain]).get(domain, [])]
