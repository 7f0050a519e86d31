"""Axes whose rows are models or pairs of them, each with a filled and an open marker."""

from collections.abc import Mapping, Sequence
from math import ceil, floor, log10
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullFormatter

from thicket.reporting.svg import ROLES

FULL: dict[str, Any] = {"markersize": 4, "linestyle": "none"}
OPEN: dict[str, Any] = {"markersize": 6, "linestyle": "none", "markerfacecolor": "none"}
GREY: dict[str, Any] = {"color": ROLES["ink"], "marker": "o"}


def rows(axes: Axes, labels: Sequence[str], named: bool) -> None:
    """A row for each label, the first at the top; the labels stand there where the axes are the leftmost ones."""
    axes.set(ylim=(len(labels) - 0.5, -0.5), yticks=range(len(labels)), yticklabels=labels if named else [])
    axes.grid(axis="y", visible=False)
    axes.spines["left"].set_visible(False)
    axes.tick_params(length=0)


def zero(axes: Axes) -> None:
    """A line at 0."""
    axes.axvline(0, color=ROLES["ink"], linewidth=0.8)


def key(
    axes: Axes, full: str, empty: str, full_look: Mapping[str, Any] = GREY, empty_look: Mapping[str, Any] = GREY
) -> None:
    """What filled and open markers are, above the axes."""
    handles = [
        Line2D([], [], label=full, **FULL, **full_look),
        Line2D([], [], label=empty, **OPEN, **empty_look),
    ]
    axes.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=len(handles),
        borderaxespad=0.2,
        borderpad=0,
        handletextpad=0.1,
        columnspacing=0.8,
    )


def decades(axes: Axes, which: Literal["x", "y"], values: Sequence[float]) -> None:
    """A scale of whole decades, where any of the values is above 0."""
    powers = [log10(value) for value in values if value > 0]
    if not powers:
        return
    low, high = floor(min(powers)), ceil(max(powers))
    ends = 10.0**low, 10.0 ** max(high, low + 1)
    axes.set(xscale="log", xlim=ends) if which == "x" else axes.set(yscale="log", ylim=ends)
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())
