"""Tables of the ways to a specialist: who wins where, at what price."""

from collections.abc import Callable

from thicket.reporting.methods import Gain, MethodResult
from thicket.reporting.results import Results
from thicket.reporting.tables import MEAN, Entry, Row, Table, marked
from thicket.reporting.text import NONE, points, points_interval, si, times

SEEDS_NOTE = (
    "A cell is the mean over the seeds of each specialist's gain on its own domain, percentage points, with the "
    "interval over items of that mean. Seeds: the mean over domains of each. FLOPs: of a specialist with all steps "
    "before it, the base left out. An answer: its FLOPs, times the base's."
)
EFFORTS_NOTE = " A model of an effort answers with the effort's prefix and in its window, the base without."


def sampled(results: Results) -> Table:
    """What each method gains as its models answer, against the sampled base."""
    title = "Ways to a specialist: pass@1 as each model answers, against the base's sampled pass@1"
    return _table(results, title, lambda way: way.sampled, lambda way: way.sampled_mean)


def deployed(results: Results) -> Table:
    """What each method gains where every model answers greedily, or by its vote."""
    title = "Ways to a specialist: one greedy answer or one vote, against the greedy base"
    return _table(results, title, lambda way: way.greedy, lambda way: way.greedy_mean)


def _table(
    results: Results,
    title: str,
    gains: Callable[[MethodResult], dict[str, Gain]],
    mean: Callable[[MethodResult], Gain],
) -> Table:
    head = (*results.domains, MEAN, "seeds", "FLOPs")
    rows = [
        Row(
            way.example,
            (
                *(_gain(gains(way).get(domain)) for domain in results.domains),
                _gain(mean(way)),
                Entry(", ".join(map(points, mean(way).of_seeds))),
                Entry(si(way.flops), f"an answer {times(way.times)}"),
            ),
            label=_label(way, results.ways),
        )
        for way in results.ways
    ]
    efforts = any(way.example.effort for way in results.ways)
    return Table(title, head, tuple(rows), SEEDS_NOTE + EFFORTS_NOTE * efforts)


def _label(way: MethodResult, all_ways: tuple[MethodResult, ...]) -> str:
    """Its methods; with its base, where there are several, and its first model, where only values tell it apart."""
    alike = [other for other in all_ways if (other.base, other.steps) == (way.base, way.steps)]
    several = len({other.base for other in all_ways}) > 1
    return " → ".join([way.base] * several + list(way.steps)) + (f" ({way.models[0]})" if len(alike) > 1 else "")


def _gain(found: Gain | None) -> Entry:
    if found is None:
        return Entry(NONE)
    return Entry(points(found.gain.value), points_interval(found.gain), marked(found.gain))
