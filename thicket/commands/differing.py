"""What two models were made of and with, beside the values of their configs: inputs and code."""

from collections.abc import Iterator
from pathlib import Path

from thicket.commands.revisions import Revision, files_of
from thicket.commands.sides import Member, Side
from thicket.config.places import DATA
from thicket.plan.reasons import file_of
from thicket.plan.recorded import read_lock

LISTED = 8
"""The most names of a list; the rest are counted."""


def differing_inputs(root: Path, left: Side, right: Side) -> list[str]:
    """What both were made of, and is not the same: data, with its items where that is known, and models."""
    return [*_differing_data(root, left, right), *(f"weights of {name}" for name in _differing(left, right, "parents"))]


def differing_code(left: Side, right: Side) -> list[str]:
    """The files that both ran, and that are not the same."""
    ones, others = (side.shared(lambda member: member.code) for side in (left, right))
    return [file_of(module) for module, hash in ones.items() if others.get(module, hash) != hash]


def listed(names: list[str]) -> str:
    """Names for people: of many, the first."""
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return f"{', '.join(names[:LISTED])}{more}"


def _differing_data(root: Path, left: Side, right: Side) -> Iterator[str]:
    for domain in _differing(left, right, "data"):
        one, other = (_items(root, side.members[0], domain) for side in (left, right))
        what = [Path(name).stem for name in one if other.get(name, one[name]) != one[name]]
        yield f"data-{domain} ({', '.join(what)} items)" if what else f"data-{domain}"


def _differing(left: Side, right: Side, kind: str) -> list[str]:
    """Names of a kind of input, of which provenance has hashes."""
    ones, others = (side.shared(lambda member: member.provenance.get(kind, {})) for side in (left, right))
    return [name for name, hash in ones.items() if others.get(name, hash) != hash]


def _items(root: Path, member: Member, domain: str) -> dict[str, str]:
    """The files of the data that a model was made on → hash; nothing where dvc.lock, or DVC's cache, does not know."""
    there = member.revision
    made = Revision(root, there).making(member.own_name) if there else read_lock(root).get(member.stage)
    if made is None or member.made_with not in made.params.values():
        return {}
    entry = made.deps.get((DATA / domain).as_posix())
    return {name: f"{path.parent.name}{path.name}" for name, path in files_of(root, entry)} if entry else {}
