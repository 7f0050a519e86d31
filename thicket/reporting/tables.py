"""Tables of the report, independent of its form: a row a model, cells of text. `page` and `markdown` write them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from thicket.config.stages import ReportedModel
from thicket.reporting.results import GREEDY, Cell, ModelResult, Results
from thicket.reporting.text import NONE, SPACE, over_items, percent, percent_interval
from thicket.statistics.intervals import Interval

T = TypeVar("T")
UP, DOWN = "▲", "▼"
MEAN = "mean"
OWN_NOTE = "A specialist stands out on its own domain."


@dataclass(frozen=True)
class Entry:
    """A cell of a table."""

    text: str
    detail: str = ""
    """A smaller second line."""
    mark: str = ""
    """▲ or ▼: the interval of a difference lies above or below 0."""
    heat: float | None = None
    """−1 (the greatest loss of the table) to 1 (the greatest gain)."""
    own: bool = False
    """Whether a specialist stands on its own domain."""


@dataclass(frozen=True)
class Row:
    """The row of a model, or of several by one of them."""

    model: ReportedModel
    entries: tuple[Entry, ...]
    label: str = ""
    """In place of the model's name, where a row stands for more than one model."""
    several: tuple[str, ...] = ()
    """Those models."""

    @property
    def name(self) -> str:
        return self.label or self.model.name

    @property
    def models(self) -> tuple[str, ...]:
        """Those that it stands for."""
        return self.several or (self.model.name,)


@dataclass(frozen=True)
class Table:
    """A table whose rows are models, or several that are alike."""

    title: str
    head: tuple[str, ...]
    """Of the columns after the first."""
    rows: tuple[Row, ...]
    note: str = ""
    terms: tuple[tuple[str, str], ...] = ()
    """Names that stand in it, and what each is."""
    first: str = "model"
    """Head of the first column: what a row is."""


def brackets(results: Results, *, signs: bool = False) -> str:
    """What stands in brackets in a table of the items' scores; `signs`: and what its signs are."""
    said = f"In brackets: {over_items(results.settings.confidence)}"
    return f"{said}; {UP}: above 0, {DOWN}: below 0." if signs else f"{said}."


def brief(model: ReportedModel) -> str:
    """What a model is, in a few words: `grpo on sort`, `student, opd`."""
    return f"{model.method} on {model.domain}" if model.domain else f"{model.kind}, {model.method}"


def marked(interval: Interval) -> str:
    """▲ where an interval lies above 0, ▼ where below."""
    return UP if interval.low > 0 else DOWN if interval.high < 0 else ""


def is_own(model: ReportedModel, domain: str) -> bool:
    """Whether the model is a specialist of the domain."""
    return model.kind == "specialist" and model.domain == domain


def over_domains(results: Results, mean: T) -> list[T]:
    """A mean over the domains where there are several; of one it would be what stands beside it."""
    return [mean] * (len(results.domains) > 1)


def scores(results: Results) -> Table:
    """Sampled pass@1 of every model on every domain."""
    rows = [
        Row(
            result.model,
            (
                *(_score(cell.score, is_own(result.model, domain)) for domain, cell in result.cells.items()),
                *over_domains(results, _score(result.mean)),
            ),
        )
        for result in results.models.values()
    ]
    note = f"{brackets(results)} {OWN_NOTE}"
    return Table("Sampled pass@1, %", (*results.domains, *over_domains(results, MEAN)), tuple(rows), note)


def attempts(results: Results) -> list[Table]:
    """Greedy decoding and every pass@k beside pass@1, a table each; a vote has neither."""

    def entry(cell: Cell, name: str) -> Entry:
        return _score(cell.scores[name]) if name in cell.scores else Entry(NONE)

    said = {GREEDY: "The share of right answers where each token is the likeliest one."}
    said |= {
        f"pass@{k}": f"The chance that at least one of {k} samples is right." for k in results.settings.ks if k > 1
    }
    return [
        _by_domain(
            results,
            f"{name.capitalize()}, %",
            lambda cell, name=name: entry(cell, name),
            f"{what} {brackets(results)}",
        )
        for name, what in said.items()
    ]


def levels(results: Results) -> list[Table]:
    """Pass@1 by difficulty level, a table for each domain that has several."""
    made = [_levels_of(results, domain) for domain in results.domains]
    return [table for table in made if len(table.head) > 1]


def lengths(results: Results) -> Table:
    """Mean length of the responses, and the share that the window cut off."""

    def entry(cell: Cell) -> Entry:
        return Entry(f"{cell.length:.1f}", f"{percent(cell.truncated)} % cut off")

    return _by_domain(results, "Mean tokens of a response, and the share that is cut off", entry)


def _levels_of(results: Results, domain: str) -> Table:
    cells = {name: result.cells[domain] for name, result in results.models.items()}
    counts = {level: found.items for cell in cells.values() for level, found in cell.levels.items()}
    rows = [
        Row(results.models[name].model, tuple(_score(found.score) for found in cell.levels.values()))
        for name, cell in cells.items()
    ]
    head = tuple(f"level{SPACE}{level}, {count}{SPACE}items" for level, count in counts.items())
    note = f"A level is the domain's own measure of difficulty. {brackets(results)}"
    return Table(f"{domain}: sampled pass@1 by level of difficulty, %", head, tuple(rows), note)


def _by_domain(results: Results, title: str, entry: Callable[[Cell], Entry], note: str = "") -> Table:
    rows = [_row(result, entry) for result in results.models.values()]
    return Table(title, results.domains, tuple(rows), note)


def _row(result: ModelResult, entry: Callable[[Cell], Entry]) -> Row:
    return Row(result.model, tuple(entry(cell) for cell in result.cells.values()))


def _score(interval: Interval, own: bool = False) -> Entry:
    return Entry(percent(interval.value), percent_interval(interval), own=own)
