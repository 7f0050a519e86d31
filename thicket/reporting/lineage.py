"""The lineage of the models as SVG: columns from the bases to the last students, a link from each box to its row."""

import html
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from thicket.config.stages import ReportedModel
from thicket.reporting.results import AGED
from thicket.reporting.tables import brief

LEAST_COLUMN = {"base": 0, "specialist": 1, "student": 2}
LETTER, PADDING, BOX_HEIGHT, ROW_PITCH, COLUMN_GAP, MARGIN = 8.4, 12.0, 38.0, 50.0, 84.0, 4.0
"""Pixels; `LETTER` is the width of one in the widest of the usual fonts."""
NAME_LINE, DETAIL_LINE = 16.0, 30.0
"""Pixels from the top of a box to the feet of its two lines of text."""


@dataclass
class _Layout:
    """Where boxes stand, and where edges pass the columns that they skip."""

    width: float
    columns: dict[str, int]
    slots: dict[tuple[str, int], int] = field(default_factory=dict)
    """(model, column) → row: of its box in its own column, of its edges in a column that they cross."""

    def rows(self, column: int) -> int:
        return sum(1 for _, other in self.slots if other == column)

    def left(self, column: int) -> float:
        return MARGIN + column * (self.width + COLUMN_GAP)

    def middle(self, name: str, column: int) -> float:
        tallest = max(self.rows(other) for other in set(self.columns.values()))
        start = (tallest - self.rows(column)) / 2
        return MARGIN + BOX_HEIGHT / 2 + ROW_PITCH * (start + self.slots[name, column])

    @property
    def size(self) -> tuple[float, float]:
        columns = set(self.columns.values())
        tallest = max(self.rows(column) for column in columns)
        right = self.left(max(columns)) + self.width
        return right + MARGIN, 2 * MARGIN + BOX_HEIGHT + ROW_PITCH * (tallest - 1)


def lineage(models: Iterable[ReportedModel], aged: Collection[str] = ()) -> str:
    """An `<svg>` element. Every model comes after those that it was made from; those in `aged` get a mark."""
    nodes = {model.name: model for model in models}
    layout = _layout(nodes)
    edges = "".join(
        _edge(layout, parent, model.name, kind) for model in nodes.values() for parent, kind in parents(model)
    )
    boxes = "".join(_box(layout, model, model.name in aged) for model in nodes.values())
    width, height = layout.size
    label = f"Lineage of {len(nodes)} models, from the bases on the left to the last students on the right"
    head = f'<svg class="lineage" role="img" aria-label="{label}" width="{width:g}" height="{height:g}"'
    return f'{head} viewBox="0 0 {width:g} {height:g}">{edges}{boxes}</svg>'


def parents(model: ReportedModel) -> list[tuple[str, str]]:
    """(model, `start` or `teacher`) for each model that one was made from."""
    start = [(model.base, "start")] if model.base else []
    return [*start, *((teacher, "teacher") for teacher in dict.fromkeys(model.teachers))]


def _layout(nodes: dict[str, ReportedModel]) -> _Layout:
    depths: dict[str, int] = {}
    for model in nodes.values():
        depths[model.name] = max([LEAST_COLUMN[model.kind], *(depths[parent] + 1 for parent, _ in parents(model))])
    used = sorted(set(depths.values()))
    longest = max(len(text) for model in nodes.values() for text in (f"{model.name} {AGED}", brief(model)))
    layout = _Layout(LETTER * longest + 2 * PADDING, {name: used.index(depth) for name, depth in depths.items()})
    for name, column in layout.columns.items():
        layout.slots[name, column] = layout.rows(column)
    for model in nodes.values():
        for parent, _ in parents(model):
            for column in range(layout.columns[parent] + 1, layout.columns[model.name]):
                layout.slots.setdefault((parent, column), layout.rows(column))
    return layout


def _edge(layout: _Layout, parent: str, child: str, kind: str) -> str:
    first, last = layout.columns[parent], layout.columns[child]
    x, y = layout.left(first) + layout.width, layout.middle(parent, first)
    path = f"M{x:g} {y:g}"
    for column in range(first + 1, last + 1):
        to_x, to_y = layout.left(column), layout.middle(child if column == last else parent, column)
        bend = (to_x - x) / 2
        path += f"C{x + bend:g} {y:g} {to_x - bend:g} {to_y:g} {to_x:g} {to_y:g}"
        if column < last:
            path += f"h{layout.width:g}"
        x, y = to_x + layout.width, to_y
    return f'<path class="{kind}" d="{path}"/>'


def _box(layout: _Layout, model: ReportedModel, aged: bool) -> str:
    column = layout.columns[model.name]
    x, y = layout.left(column), layout.middle(model.name, column) - BOX_HEIGHT / 2
    name, second = html.escape(model.name), html.escape(brief(model))
    kind, mark = (f"{model.kind} aged", f" {AGED}") if aged else (model.kind, "")
    return (
        f'<a href="#model-{name}"><g class="{kind}" transform="translate({x:g} {y:g})">'
        f'<rect width="{layout.width:g}" height="{BOX_HEIGHT:g}" rx="6"/>'
        f'<text x="{PADDING:g}" y="{NAME_LINE:g}" class="name">{name}{mark}</text>'
        f'<text x="{PADDING:g}" y="{DETAIL_LINE:g}" class="detail">{second}</text></g></a>'
    )
