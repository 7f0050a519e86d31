"""Tables of the ways to a specialist: who wins where, at what price."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import takewhile

from thicket.reporting.consolidation import Consolidation
from thicket.reporting.methods import MethodResult
from thicket.reporting.results import Results
from thicket.reporting.seeds import Gain
from thicket.reporting.tables import MEAN, Entry, Row, Table, marked
from thicket.reporting.terms import terms
from thicket.reporting.text import NONE, percent, percent_interval, points, points_interval, si, times

OVER_SEEDS = (
    "with its interval over items and seeds (Student's t for the few seeds, as thicket compare has it; of one seed "
    "over items alone). Models of one seed, or with equal weights, count as one seed's."
)
SEEDS_NOTE = (
    "A cell is the mean over the seeds of each specialist's gain on its own domain, percentage points, "
    f"{OVER_SEEDS} Mean: over the domains, of the seeds that have a specialist on each of them; seeds: the mean of "
    f"each such seed. {NONE} there: the row lacks a domain that another has, and its mean would be of something else; "
    "or no seed has all its domains. FLOPs: of a specialist with all steps before it, the base left out. An answer: "
    "its FLOPs, times the base's."
)
CONSOLIDATION_NOTE = (
    "Students that differ in nothing but the seed. A cell is the mean over seeds of their gain on the base, percentage "
    f"points, {OVER_SEEDS} Recovered: of the gain of each student's own specialists; and each seed's own."
)
EFFORTS_NOTE = " A model of an effort answers with the effort's prefix and in its window, the base without."


def sampled(results: Results) -> Table:
    """What each method gains as its models answer, against the sampled base."""
    title = "Ways to a specialist: pass@1 as each model answers, against the base's sampled pass@1"
    return _table(results, title, lambda way: way.sampled, lambda way: way.sampled_mean)


def deployed(results: Results) -> Table:
    """What each method gains where every model answers greedily, or by its vote."""
    title = "Ways to a specialist: one greedy answer or one vote, against the greedy base"
    table = _table(results, title, lambda way: way.greedy, lambda way: way.greedy_mean)
    return replace(table, terms=terms(results, [(way.example.method, way.example) for way in results.ways]))


def consolidated(results: Results) -> Table:
    """What each way to one model comes to, over its seeds."""
    head = (*results.domains, MEAN, "recovered, %", "total FLOPs")
    rows = [
        Row(
            way.example,
            (
                *map(_gain, way.gains.values()),
                _gain(way.mean),
                _share(way),
                Entry(si(way.flops)),
            ),
            label=_suffix(way.models),
            several=way.models,
        )
        for way in results.consolidations
    ]
    named = [(row.name, row.model) for row in rows]
    title, said = "Ways to one model, means over seeds", terms(results, named)
    return Table(title, head, tuple(rows), CONSOLIDATION_NOTE, said, first="students")


def _share(way: Consolidation) -> Entry:
    share = way.recovered
    if share is None:
        return Entry(NONE)
    of_seeds = ", ".join(NONE if one is None else percent(one) for one in way.shares)
    return Entry(percent(share.value), f"{percent_interval(share)} seeds {of_seeds}")


def _suffix(names: Sequence[str]) -> str:
    """What is common to the names of models, from the end: s0-opd, s1-opd → opd."""
    parts = zip(*(reversed(name.split("-")) for name in names), strict=False)
    common = [same[0] for same in takewhile(lambda same: len(set(same)) == 1, parts)]
    return "-".join(reversed(common)) or names[0]


def _table(
    results: Results,
    title: str,
    gains: Callable[[MethodResult], dict[str, Gain]],
    mean: Callable[[MethodResult], Gain | None],
) -> Table:
    head = (*results.domains, MEAN, "seeds", "FLOPs")
    rows = [
        Row(
            way.example,
            (
                *(_gain(gains(way).get(domain)) for domain in results.domains),
                _gain(mean(way)),
                _seeds(mean(way)),
                Entry(si(way.flops), f"an answer {times(way.times)}"),
            ),
            label=_label(way, results.ways),
            several=way.models,
        )
        for way in results.ways
    ]
    efforts = any(way.example.effort for way in results.ways)
    return Table(title, head, tuple(rows), SEEDS_NOTE + EFFORTS_NOTE * efforts, first="method")


def _label(way: MethodResult, all_ways: tuple[MethodResult, ...]) -> str:
    """Its methods; with its base, where there are several, and its first model, where only values tell it apart."""
    alike = [other for other in all_ways if (other.base, other.steps) == (way.base, way.steps)]
    several = len({other.base for other in all_ways}) > 1
    return " → ".join([way.base] * several + list(way.steps)) + (f" ({way.models[0]})" if len(alike) > 1 else "")


def _seeds(found: Gain | None) -> Entry:
    return Entry(", ".join(map(points, found.of_seeds)) if found else NONE)


def _gain(found: Gain | None) -> Entry:
    if found is None:
        return Entry(NONE)
    return Entry(points(found.gain.value), points_interval(found.gain), marked(found.gain))
