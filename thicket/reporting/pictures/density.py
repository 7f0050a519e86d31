"""Density by σ, with > and with ≥, a panel for each margin; below, scores on a plane through the model."""

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from thicket.reporting.pictures.neighbours import WIDTH, distinct, level, look, statistic
from thicket.reporting.svg import INCH, ROLES
from thicket.reporting.text import PERCENT

Rows = Sequence[Mapping[str, str]]
TOP, PANEL, FOOT, PLANE, SIDE, GAP, BAR = 48.0, 150.0, 40.0, 130.0, 44.0, 26.0, 60.0
"""Points: legend, panels of densities, room below panels, a plane with its room, left edge, between panels, scale."""
ABREAST = 4
"""Planes side by side."""
LEGEND_COLUMNS, LETTER, MARK = 6, 5.4, 42.0
"""Columns of the legend, at most; points: width of a letter, a marker with its room."""
SPREAD = 0.7
"""Of the room of a σ, the share that its domains take."""
COLOURS = "cividis"


def picture(result: Mapping[str, Any], tables: Mapping[str, list[dict[str, str]]]) -> Figure:
    """The share with > is filled and has its interval; the open mark above it, the share with ≥, counts ties too."""
    rows, plane = tables["density"], tables.get("slice", [])
    domains, margins = distinct(rows, "domain"), distinct(rows, "margin")
    deep = ceil(len(domains) / ABREAST) if plane else 0
    width, height = WIDTH * INCH, TOP + PANEL + FOOT + deep * PLANE
    figure = Figure(figsize=(WIDTH, height / INCH))
    each = (width - SIDE - GAP * len(margins)) / len(margins)
    for place, margin in enumerate(margins):
        left = SIDE + place * (each + GAP)
        axes = figure.add_axes((left / width, (height - TOP - PANEL) / height, each / width, PANEL / height))
        _panel(axes, result, [row for row in rows if row["margin"] == margin], domains)
        if place == 0:
            axes.set_ylabel("share of perturbations, %")
    handles = _legend(domains)
    columns = _columns([str(one.get_label()) for one in handles], width)
    figure.legend(handles=handles, loc="upper left", bbox_to_anchor=(0, 1), ncols=columns, handletextpad=0.2)
    if plane:
        _planes(figure, plane, max(distinct(rows, "sigma"), key=float), deep * PLANE)
    return figure


def _columns(labels: Sequence[str], room: float) -> int:
    """Columns of a legend that fit beside one another; where they differ in length, the first are longer."""

    def needed(count: int) -> float:
        return sum(LETTER * max(map(len, part)) + MARK for part in np.array_split(labels, count))

    most = min(LEGEND_COLUMNS, len(labels))
    return next((count for count in range(most, 1, -1) if needed(count) <= room), 1)


def _legend(domains: Sequence[str]) -> list[Line2D]:
    grey: dict[str, Any] = {"color": ROLES["ink"], "marker": "o", "linestyle": "none"}
    kinds = [
        Line2D([], [], label="more than that (>)", **grey),
        Line2D([], [], label="or just that (≥)", markerfacecolor="none", **grey),
    ]
    return [Line2D([], [], linestyle="none", label=name, **look(n)) for n, name in enumerate(domains)] + kinds


def _panel(axes: Axes, result: Mapping[str, Any], rows: Rows, domains: Sequence[str]) -> None:
    sigmas, margin = distinct(rows, "sigma"), float(rows[0]["margin"])
    for row in rows:
        series = domains.index(row["domain"])
        x = sigmas.index(row["sigma"]) + SPREAD * ((series + 0.5) / len(domains) - 0.5)
        style, above = look(series), float(row["above"]) * PERCENT
        least = float(row["at_least"]) * PERCENT
        axes.plot([x, x], [above, least], color=style["color"], linewidth=0.8, linestyle=":")
        axes.plot(x, least, markersize=5, markerfacecolor="none", clip_on=False, **style)
        found = statistic(result, f"density_gt_{margin:g}@{level(row['sigma'])}", row["domain"])
        if found:
            axes.vlines(x, found[1] * PERCENT, found[2] * PERCENT, color=style["color"], linewidth=2, alpha=0.45)
        axes.plot(x, above, markersize=5, clip_on=False, **style)
    axes.set_title(
        f"a gain of {margin * PERCENT:g} points over the model", fontsize="medium", color=ROLES["ink"], loc="left"
    )
    axes.set(xticks=range(len(sigmas)), xticklabels=[level(one) for one in sigmas], xlabel="σ, in units of the weights")
    axes.set_xlim(-0.5, len(sigmas) - 0.5)
    axes.set_ylim(bottom=0)
    axes.grid(axis="x", visible=False)
    axes.tick_params(length=0)


def _planes(figure: Figure, rows: Rows, sigma: str, height: float) -> None:
    """One for each domain, on one scale of colours."""
    width, whole = WIDTH * INCH, figure.get_figheight() * INCH
    domains = distinct(rows, "domain")
    low, high = (end(float(row["score"]) for row in rows) * PERCENT for end in (min, max))
    room = (width - SIDE - BAR) / ABREAST
    side = min(room - GAP / 2, PLANE - FOOT)
    shown = None
    for place, domain in enumerate(domains):
        left, bottom = SIDE + place % ABREAST * room, height - (place // ABREAST + 1) * PLANE + FOOT / 2
        axes = figure.add_axes((left / width, bottom / whole, side / width, side / whole))
        mine = [row for row in rows if row["domain"] == domain]
        xs, ys = (sorted(map(float, distinct(mine, name))) for name in ("x", "y"))
        at = {(float(row["x"]), float(row["y"])): float(row["score"]) * PERCENT for row in mine}
        scores = np.array([[at[x, y] for x in xs] for y in ys])
        half = (xs[-1] - xs[0]) / max(1, len(xs) - 1) / 2
        extent = (xs[0] - half, xs[-1] + half, ys[0] - half, ys[-1] + half)
        shown = axes.imshow(scores, COLOURS, vmin=low, vmax=high, origin="lower", extent=extent, aspect="auto")
        axes.plot(0, 0, "+", color="#ffffff", markersize=7, markeredgewidth=1.5)
        axes.set_title(domain, fontsize="medium", color=ROLES["ink"], loc="left", pad=3)
        axes.set(xticks=[xs[0], 0, xs[-1]], yticks=[ys[0], 0, ys[-1]])
        axes.grid(visible=False)
        axes.tick_params(length=0, labelsize="small")
        if place % ABREAST == 0:
            axes.set_ylabel(f"ε₂, in {level(sigma)}", fontsize="small", labelpad=1)
        axes.set_xlabel(f"ε₁, in {level(sigma)}", fontsize="small", labelpad=1)
    if shown is not None:
        left = (SIDE + ABREAST * room + GAP / 4) / width
        bar = figure.add_axes((left, (height - PLANE + FOOT / 2) / whole, 0.012, side / whole))
        figure.colorbar(shown, cax=bar, label="score, %").ax.tick_params(length=0)
