"""Tables of paired differences: who gains where, and who loses."""

from thicket.reporting.results import Results
from thicket.reporting.tables import DOWN, MEAN, OWN_NOTE, UP, Entry, Row, Table, brackets, is_own, marked, over_domains
from thicket.reporting.text import points, points_interval
from thicket.statistics.intervals import Interval


def differences(results: Results) -> Table:
    """Paired differences of pass@1 to each model's base: who gains where, and who loses."""
    found = {
        name: [*(cell.difference for cell in result.cells.values()), *over_domains(results, result.mean_difference)]
        for name, result in results.models.items()
        if result.model.kind != "base"
    }
    title = "Gain or loss of sampled pass@1 against the base, percentage points"
    note = f"{brackets(results, signs=True)} Without {UP} or {DOWN} it holds 0. {OWN_NOTE}"
    return _gains(results, found, title, (*results.domains, *over_domains(results, MEAN)), note)


def greedy_differences(results: Results) -> Table:
    """What models that answer greedily or by vote gain on the greedy base."""
    found = {
        name: [cell.greedy_difference for cell in result.cells.values()]
        for name, result in results.models.items()
        if result.model.kind != "base" and all(cell.greedy_difference for cell in result.cells.values())
    }
    title = "Greedy models and votes against the greedy base, percentage points"
    note = (
        "Their scores less the base's greedy ones, on the same items: of a gain on samples, greedy decoding is a part. "
        f"{brackets(results, signs=True)}"
    )
    return _gains(results, found, title, results.domains, note)


def _gains(
    results: Results, found: dict[str, list[Interval | None]], title: str, head: tuple[str, ...], note: str
) -> Table:
    """A row of differences for each of some models; colours are against the largest of them all."""
    largest = max((abs(gap.value) for gaps in found.values() for gap in gaps if gap), default=0.0)
    rows = []
    for name, gaps in found.items():
        model = results.models[name].model
        shown = [_gain(gap, largest, is_own(model, domain)) for domain, gap in zip(head, gaps, strict=True)]
        rows.append(Row(model, tuple(shown)))
    return Table(title, head, tuple(rows), note)


def _gain(gap: Interval | None, largest: float, own: bool) -> Entry:
    assert gap is not None  # what has no difference has no row
    heat = gap.value / largest if largest else 0.0
    return Entry(points(gap.value), points_interval(gap), marked(gap), heat, own)
