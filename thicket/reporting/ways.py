"""Tables of the ways to a specialist: who wins where, at what price."""

from collections.abc import Callable
from dataclasses import replace

from thicket.reporting.consolidation import Consolidation
from thicket.reporting.methods import MethodResult
from thicket.reporting.results import Results
from thicket.reporting.seeds import Gain
from thicket.reporting.tables import DOWN, MEAN, UP, Entry, Row, Table, brackets, marked, over_domains
from thicket.reporting.terms import terms
from thicket.reporting.text import NONE, PERCENT, SPACE, percent, percent_interval, points, points_interval, si, times

OVER_SEEDS = (
    "intervals over items and seeds (Student's t for the few seeds, as thicket compare has it; of one seed over items "
    f"alone); {UP}: above 0, {DOWN}: below 0. Models of one seed, or with equal weights, count as one seed's."
)
SEEDS_NOTE = (
    "A cell is the mean over the seeds of each specialist's gain on its own domain, percentage points. {brackets} "
    "{over}"
)
ONE_SEED_NOTE = (
    "A cell is a specialist's gain on its own domain, percentage points. {brackets} There is one seed of each: what "
    "another would make is not counted.{over}"
)
MEANS_NOTE = (
    "Mean: over the domains, of the seeds that have a specialist on each of them; seeds: the mean of each such seed."
)
ONE_DOMAIN_NOTE = "Seeds: the gain of each."
NO_MEAN_NOTE = (
    f" {NONE}: there is none; as a mean, the row lacks a domain that another has, and its mean would be of something "
    "else, or no seed has all its domains."
)
COST_NOTE = (
    " FLOPs: of a specialist with all steps before it, the base left out. An answer: its FLOPs, times the base's."
)
CONSOLIDATION_NOTE = (
    "Students that differ in nothing but the seed. A cell is the mean over seeds of their gain on the base, percentage "
    "points. {brackets} Recovered: of the gain of each student's own specialists, with such an interval; and each "
    "seed's own. Total FLOPs: of a student with all that it rests on, the base left out."
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
    head = (*results.domains, *over_domains(results, MEAN), "recovered, %", "total FLOPs")
    rows = [
        Row(
            way.example,
            (
                *map(_gain, way.gains.values()),
                *over_domains(results, _gain(way.mean)),
                _share(way),
                Entry(si(way.flops)),
            ),
            label=way.name,
            several=way.models,
        )
        for way in results.consolidations
    ]
    named = [(row.name, row.model) for row in rows]
    title, said = "Ways to one model, means over seeds", terms(results, named)
    note = CONSOLIDATION_NOTE.format(brackets=_brackets(results))
    return Table(title, head, tuple(rows), note, said, first="students")


def _brackets(results: Results) -> str:
    """What stands in brackets in a table of means over seeds."""
    return f"In brackets: {results.settings.confidence * PERCENT:g}{SPACE}% {OVER_SEEDS}"


def _share(way: Consolidation) -> Entry:
    share = way.recovered
    if share is None:
        return Entry(NONE)
    of_seeds = ", ".join(NONE if one is None else percent(one) for one in way.shares)
    return Entry(percent(share.value), f"{percent_interval(share)} seeds {of_seeds}")


def _table(
    results: Results,
    title: str,
    gains: Callable[[MethodResult], dict[str, Gain]],
    mean: Callable[[MethodResult], Gain | None],
) -> Table:
    several = any(len(way.models) > len(way.sampled) for way in results.ways)
    head = (*results.domains, *over_domains(results, MEAN), *["seeds"] * several, "FLOPs")
    rows = [
        Row(
            way.example,
            (
                *(_gain(gains(way).get(domain)) for domain in results.domains),
                *over_domains(results, _gain(mean(way))),
                *[_seeds(mean(way))] * several,
                Entry(si(way.flops), f"an answer {times(way.times)}"),
            ),
            label=_label(way, results.ways),
            several=way.models,
        )
        for way in results.ways
    ]
    note = _note(results, several, any(over_domains(results, way) and mean(way) is None for way in results.ways))
    return Table(title, head, tuple(rows), note, first="method")


def _note(results: Results, several: bool, lacking: bool) -> str:
    """What a table says below it, of what is in it: `several` seeds, a mean that is `lacking`."""
    if several:
        over = "".join(over_domains(results, MEANS_NOTE)) or ONE_DOMAIN_NOTE
        said = SEEDS_NOTE.format(brackets=_brackets(results), over=over)
    else:
        over = "".join(over_domains(results, " Mean: over the domains."))
        said = ONE_SEED_NOTE.format(brackets=brackets(results, signs=True), over=over)
    efforts = any(way.example.effort for way in results.ways)
    return said + NO_MEAN_NOTE * lacking + COST_NOTE + EFFORTS_NOTE * efforts


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
