"""The map of self-distillation: scores by the temperature of the training samples and that of the answers.

Colours are against the start at its own best temperature of answers, so that a gain is one that no choice of that
temperature gives.
"""

from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from thicket.reporting.svg import INCH, ROLES, drawing, inline
from thicket.reporting.text import percent, percent_interval
from thicket.statistics.intervals import Interval

CELL_WIDTH, CELL_HEIGHT, GAP = 84.0, 34.0, 2.0
"""Points."""
LEFT, RIGHT, HEAD, FOOT = 64.0, 4.0, 4.0, 40.0
"""Points: room for the labels of the rows, and of the columns."""
VALUE_AT, INTERVAL_AT = 0.36, 0.72
"""Of a cell's height, from its top: the middle of a line."""
LARGE, SMALL = 9.0, 6.5
"""Points: the size of a score's digits, and of an interval's."""
STRONGEST = 0.75
"""Opacity of the largest difference of the map: text stays readable on it."""
GAIN, LOSS = "specialist", "series-2"
START = "start"


@dataclass(frozen=True)
class SsdMap:
    """Scores on one domain."""

    domain: str
    base: str
    """The model that everything started from."""
    cut: str
    """The truncation of the samples, as people read it."""
    asked: list[float]
    """T_eval, the columns."""
    start: list[Interval | None]
    """The model that was not trained, at each T_eval; None: not measured."""
    trained: dict[float, list[Interval | None]]
    """T_train → the scores at each T_eval."""

    @property
    def reference(self) -> float:
        """The start's best score. Raises: ValueError where the start was not measured."""
        measured = [cell.value for cell in self.start if cell is not None]
        if not measured:
            raise ValueError(f"the map of {self.domain} has no score of the model that was not trained")
        return max(measured)

    @property
    def cells(self) -> list[Interval]:
        """All that was measured."""
        return [cell for row in (self.start, *self.trained.values()) for cell in row if cell is not None]

    @property
    def largest(self) -> float:
        """The largest difference from the start's best score. Raises: ValueError as `reference` does."""
        return max(abs(cell.value - self.reference) for cell in self.cells)


def size(scores: SsdMap) -> tuple[float, float]:
    """Width and height of a map's drawing, in points."""
    return LEFT + CELL_WIDTH * len(scores.asked) + RIGHT, HEAD + CELL_HEIGHT * (1 + len(scores.trained)) + FOOT


def ssd_map(scores: SsdMap, name: str, most: float | None = None) -> str:
    """The map as an `<svg>`: a row for the start and for each T_train, the lowest first; a column for each T_eval.

    `most`: the difference that has the strongest colour, so that maps compare; None: the map's own.
    """
    width, height = size(scores)
    with drawing(width / INCH, height / INCH) as figure:
        draw_map(figure, scores, scores.largest if most is None else most, height)
        what = f"Sampled pass@1 on {scores.domain}, in percent, of {scores.base} and what was trained from it"
        return inline(figure, name, f"{what}, by the temperatures of the samples and of the answers")


def draw_map(figure: Figure, scores: SsdMap, most: float, top: float) -> None:
    """Draws a map at a figure's left edge. `top`: its upper edge, in points from the figure's lower edge."""
    rows = [(START, scores.start), *((f"{t:g}", scores.trained[t]) for t in sorted(scores.trained))]
    reference, best = scores.reference, max(cell.value for cell in scores.cells)
    width, height = (inches * INCH for inches in figure.get_size_inches())
    plot_width, plot_height = CELL_WIDTH * len(scores.asked), CELL_HEIGHT * len(rows)
    lower = top - HEAD - plot_height
    axes = figure.add_axes((LEFT / width, lower / height, plot_width / width, plot_height / height))
    for place, (_, row) in enumerate(rows):
        for column, cell in enumerate(row):
            if cell is not None:
                strength = (cell.value - reference) / most if most else 0.0
                _cell(axes, column, place, cell, strength, "bold" if cell.value == best else "normal")
    axes.set(xlim=(0, len(scores.asked)), ylim=(len(rows), 0), xlabel="T of the answers", ylabel="T of the samples")
    axes.set_xticks([column + 0.5 for column in range(len(scores.asked))], [f"{t:g}" for t in scores.asked])
    axes.set_yticks([place + 0.5 for place in range(len(rows))], [label for label, _ in rows])
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[["left", "bottom"]].set_visible(False)


def _cell(axes: Axes, column: int, row: int, score: Interval, strength: float, weight: str) -> None:
    """`strength`: the difference to the reference, in parts of the map's largest."""
    colour = ROLES[GAIN if strength > 0 else LOSS]
    across, down = GAP / CELL_WIDTH, GAP / CELL_HEIGHT
    corner = column + across / 2, row + down / 2
    opacity = abs(strength) * STRONGEST
    axes.add_patch(Rectangle(corner, 1 - across, 1 - down, facecolor=colour, alpha=opacity, linewidth=0))
    for text, at, size, bold in (
        (percent(score.value), VALUE_AT, LARGE, weight),
        (percent_interval(score), INTERVAL_AT, SMALL, "normal"),
    ):
        middle = column + 0.5, row + at
        axes.text(*middle, text, ha="center", va="center", color=ROLES["ink"], fontsize=size, fontweight=bold)
