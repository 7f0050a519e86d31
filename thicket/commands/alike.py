"""Which scores can be held against each other: those of the same items, asked and judged in the same way."""

from collections.abc import Mapping
from dataclasses import dataclass

from thicket.reporting.inputs import Scored, differing_tests
from thicket.reporting.text import joined

COLUMNS = "ks"
"""The setting that says which scores there are, and not how they are made."""


@dataclass(frozen=True)
class Alike:
    """The scores of some models, sorted by the way in which they were made."""

    ways: dict[str, dict[str, int]]
    """Domain → model → a number that scores share which can be held against each other; the first model's is 1."""
    note: str
    """What tells those of other numbers from 1; empty where there are none."""


def alike(scored: Mapping[str, Scored]) -> Alike:
    """Sorts evaluations by name. One that names no test, as an earlier thicket's, counts as one of the same test."""
    ways: dict[str, dict[str, int]] = {}
    apart: list[str] = []
    for domain in dict.fromkeys(domain for one in scored.values() for domain in one.metrics["domains"]):
        known = {name: one for name, one in scored.items() if domain in one.metrics["domains"]}
        groups = _groups(known, domain)
        ways[domain] = {name: number for number, group in enumerate(groups, start=1) for name in group}
        for number, group in enumerate(groups[1:], start=2):
            parts = joined(_unlike(known[groups[0][0]], known[group[0]], domain))
            apart.append(f"{domain}: {number} is not scored as 1 is ({parts})")
    note = f"Scores that can't be held against each other, by the column “scored as”: {'; '.join(apart)}."
    return Alike(ways, note if apart else "")


def _groups(scored: Mapping[str, Scored], domain: str) -> list[list[str]]:
    groups: list[list[str]] = []
    for name, one in scored.items():
        fitting = [group for group in groups if not any(_unlike(scored[other], one, domain) for other in group)]
        if fitting:
            fitting[0].append(name)
        else:
            groups.append([name])
    return groups


def _unlike(one: Scored, other: Scored, domain: str) -> list[str]:
    """What tells the second evaluation from the first on a domain, in words."""
    ours, theirs = one.metrics["settings"], other.metrics["settings"]
    names = [name for name in ours if name != COLUMNS and theirs.get(name) != ours[name]]
    parts = [f"{name} {theirs.get(name)}, not {ours[name]}" for name in names]
    if one.items[domain].ids != other.items[domain].ids:
        return [*parts, "other items"]
    return parts + [f"another {part}" for part in differing_tests(one, other, [domain]).get(domain, [])]
