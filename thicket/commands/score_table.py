"""The table of scores that `thicket compare` prints, and the notes below it."""

from collections.abc import Iterator
from pathlib import Path

from thicket.commands.models import aged, outdated_words
from thicket.commands.scores import MEAN, Pair, Pairs
from thicket.commands.sides import Side
from thicket.config.never_right import Counts
from thicket.plan import console
from thicket.reporting.findings import out_of_reach
from thicket.reporting.tables import DOWN, UP, marked
from thicket.reporting.text import joined, percent, percent_interval, points, points_interval
from thicket.statistics.intervals import Interval


def print_scores(root: Path, sides: list[Side], compared: list[Pairs], domains: list[str]) -> None:
    """Prints each side's scores beside the first's, and what is to be said of them. `domains`: all of the project."""
    first, *others = sides
    left, *rights = (aged(side.label, side.outdated, side.gone) for side in sides)
    rows = _rows(dict(zip(rights, compared, strict=True)), domains)
    if len(others) == 1:
        table = console.table("score, %", "", left, rights[0], f"{others[0].label} − {first.label}, points", "")
        for (name, figure), found in rows.items():
            for pair in found.values():
                table.add_row(name, figure, _share(pair.left), _share(pair.right), *_gap(pair.difference))
    else:
        table = console.table("score, %", "", "", "", f"− {first.label}, points", "")
        for (name, figure), found in rows.items():
            table.add_row(name, figure, left, _share(next(iter(found.values())).left))
            for right, pair in found.items():
                table.add_row("", "", right, _share(pair.right), *_gap(pair.difference))
    console.show(table)
    settings = next(one.settings for one in compared if one.pairs)
    what = "items and seeds" if any(len(side.members) > 1 for side in sides) else "items"
    print(
        f"{settings['samples']} samples an item at temperature {settings['temperature']:g}, {settings['split']} items; "
        f"{100 * settings['confidence']:g} % intervals over {what}, paired. {UP} {DOWN}: the interval does not hold 0."
    )
    for note in _notes(sides, compared, settings["split"]):
        print(note)
    outdated = {member.given: member for side in sides for member in side.members if member.outdated}.values()
    if here := [member.name for member in outdated if not member.revision]:
        print(outdated_words(root, here))
    if earlier := [member.name for member in outdated if member.revision]:
        print(f"The scores of {', '.join(earlier)} are of earlier weights than the commit has.")


def _rows(compared: dict[str, Pairs], domains: list[str]) -> dict[tuple[str, str], dict[str, Pair]]:
    """What a row is of, and its figure → side → its scores beside the first's; sides may lack some domains."""
    pairs = [(right, pair) for right, found in compared.items() for pair in found.pairs]
    figures = list(dict.fromkeys(pair.figure for _, pair in pairs))
    places = {name: place for place, name in enumerate(domains)}
    pairs.sort(key=lambda one: (figures.index(one[1].figure), places.get(one[1].domain, len(places))))
    rows: dict[tuple[str, str], dict[str, Pair]] = {}
    for right, pair in pairs:
        rows.setdefault((_of(pair, domains), pair.figure), {})[right] = pair
    return rows


def _of(pair: Pair, domains: list[str]) -> str:
    """A domain; of a mean over some of the domains, which these are."""
    lacking = [domain for domain in domains if domain not in pair.over]
    if pair.domain != MEAN or not lacking:
        return pair.domain
    if len(lacking) < len(pair.over):
        return f"{MEAN} without {joined(lacking)}"
    return f"{MEAN} of {joined(pair.over)}"


def _notes(sides: list[Side], compared: list[Pairs], split: str) -> Iterator[str]:
    """What is out of a side's reach, and what the intervals count of the seeds."""
    yield from dict.fromkeys(f"Not compared: {pairs.missing}." for pairs in compared if pairs.missing)
    never_right: dict[str, Counts] = {}
    for label, counts in (one for pairs in compared for one in pairs.never_right.items()):
        never_right[label] = {**never_right.get(label, {}), **counts}
    yield from out_of_reach(never_right, split)
    if all(len(side.members) == 1 for side in sides):
        return
    scores = [score for pairs in compared for pair in pairs.pairs for score in (pair.left, pair.right)]
    if any(score.low <= 0 < score.value or score.value < 1 <= score.high for score in scores):
        yield "An interval that comes to 0 or 100 % is cut off there, where scores end."
    for side, pairs in zip(sides[1:], compared, strict=True):
        if not pairs.pairs:
            continue
        if pairs.by_seed:
            yield f"{side.label} and {sides[0].label} have the same seeds: their differences are taken seed by seed."
        elif side.given == sides[0].given or min(len(side.members), len(sides[0].members)) > 1:
            seeds = f"{seeds_of(side)} against {seeds_of(sides[0])}"
            yield f"{side.label} and {sides[0].label} have other seeds ({seeds}), which are not paired."
    for side in sides:
        if len(side.members) == 1:
            yield f"{side.label} is one model: what another seed of it would score is not counted."


def _share(interval: Interval) -> str:
    return f"{percent(interval.value)} {percent_interval(interval)}"


def _gap(interval: Interval) -> tuple[str, str]:
    return f"{points(interval.value)} {points_interval(interval)}", marked(interval)


def seeds_of(side: Side) -> str:
    """The seeds of its models."""
    return ", ".join("?" if one.seed is None else str(one.seed) for one in side.members)
