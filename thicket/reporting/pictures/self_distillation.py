"""The terms of the loss, domain by domain, of the frozen model and of the one that learned; below, both models' scores
by how hard the items are."""

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from thicket.reporting.pictures.neighbours import WIDTH
from thicket.reporting.svg import INCH, ROLES
from thicket.reporting.text import PERCENT

Rows = Sequence[Mapping[str, str]]
TOP, PANEL, SIDE, GAP, FOOT, SCORES = 40.0, 150.0, 44.0, 22.0, 34.0, 105.0
"""Points: legend, height of the panel of terms, left edge, between panels, room below a panel, height of a panel of
scores."""
ABREAST, LEGEND_COLUMNS = 4, 4
"""Panels of scores side by side, and entries of the legend."""
TERMS = {
    "constant": ("constant, T·H(q)", "line", ""),
    "support": ("support", "series-2", "//"),
    "reshaping": ("reshaping", "series-3", "\\\\"),
    "anchor": ("anchor", "series-4", ".."),
}
"""Term → its label, colour and hatch."""
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "frozen": ("frozen", {"color": ROLES["ink"], "marker": "D", "linestyle": "--", "linewidth": 1.2}),
    "learned": ("learned", {"color": ROLES["series-1"], "marker": "o", "linestyle": "-", "linewidth": 1.2}),
}
"""Model → its label and look."""
SMALL, LARGE = 3.5, 9.0
"""Points: diameter of the mark of a bin without items, and of one that holds all."""
BAR = 0.34
"""Of a domain's room."""


def picture(result: Mapping[str, Any], tables: Mapping[str, list[dict[str, str]]]) -> Figure:
    """The left bar of a domain is the frozen model's. Terms below 0 hang down; the mark is their sum, the loss."""
    domains = result["domains"]
    deep, width = ceil(len(domains) / ABREAST), WIDTH * INCH
    height = TOP + PANEL + FOOT + deep * (GAP + SCORES + FOOT)
    figure = Figure(figsize=(WIDTH, height / INCH))
    box = (SIDE / width, (height - TOP - PANEL) / height, (width - SIDE - GAP) / width, PANEL / height)
    axes = figure.add_axes(box)
    _terms(axes, tables["terms"], domains)
    each = (width - SIDE - GAP * ABREAST) / ABREAST
    first: Axes | None = None
    for place, domain in enumerate(domains):
        left, bottom = SIDE + place % ABREAST * (each + GAP), height - TOP - PANEL - FOOT
        bottom -= (place // ABREAST + 1) * (GAP + SCORES) + place // ABREAST * FOOT
        panel = figure.add_axes((left / width, bottom / height, each / width, SCORES / height), sharey=first)
        first = first or panel
        _scores(panel, [row for row in tables["difficulty"] if row["domain"] == domain])
        panel.set_title(domain, fontsize="medium", color=ROLES["ink"], loc="left", pad=3)
        panel.set_xlabel("frozen model's pass rate\nin other samples, %", fontsize="small")
        panel.tick_params(labelleft=place % ABREAST == 0)
        if place % ABREAST == 0:
            panel.set_ylabel("pass@1, %")
    figure.legend(handles=_legend(), loc="upper left", bbox_to_anchor=(0, 1), ncols=LEGEND_COLUMNS, columnspacing=1.2)
    return figure


def _legend() -> list[Any]:
    terms = [
        Patch(facecolor=ROLES[colour], hatch=hatch, edgecolor="#ffffff", label=label)
        for label, colour, hatch in TERMS.values()
    ]
    total = Line2D([], [], color=ROLES["ink"], marker="_", markersize=11, markeredgewidth=2, linestyle="none")
    total.set_label("their sum, the loss")
    return [*terms, total, *(Line2D([], [], label=label, **look) for label, look in MODELS.values())]


def _terms(axes: Axes, rows: Rows, domains: Sequence[str]) -> None:
    ticks, labels = list[float](), list[str]()
    for row in rows:
        x = domains.index(row["domain"]) + (BAR / 2 + 0.02) * (1 if row["model"] == "learned" else -1)
        above = below = 0.0
        for term, (_, colour, hatch) in TERMS.items():
            value = float(row[term])
            start = above if value >= 0 else below
            axes.bar(x, value, BAR, start, color=ROLES[colour], hatch=hatch, edgecolor="#ffffff", linewidth=0.5)
            above, below = above + max(value, 0.0), below + min(value, 0.0)
        axes.hlines(float(row["total"]), x - BAR / 2, x + BAR / 2, color=ROLES["ink"], linewidth=2)
        ticks.append(x)
        labels.append(row["model"])
    for place, domain in enumerate(domains):
        at = axes.get_xaxis_transform()
        axes.text(place, -0.11, domain, transform=at, ha="center", va="top", color=ROLES["ink"])
    axes.axhline(0, color=ROLES["muted"], linewidth=0.8)
    axes.set_xticks(ticks, labels)
    axes.set(ylabel="nats a position", xlim=(-0.6, len(domains) - 0.4))
    axes.tick_params(length=0, labelsize="small")
    axes.grid(axis="x", visible=False)


def _scores(axes: Axes, rows: Rows) -> None:
    """The size of a mark is that of the bin."""
    x = np.array([float(row["bin"]) for row in rows]) * PERCENT
    items = np.array([float(row["items"]) for row in rows])
    sizes = SMALL + (LARGE - SMALL) * np.sqrt(items / items.sum())
    for model, (_, look) in MODELS.items():
        y = np.array([float(row[model]) for row in rows]) * PERCENT
        axes.plot(x, y, **{**look, "marker": ""})
        for at, score, size in zip(x, y, sizes, strict=True):
            axes.plot(at, score, **look, markersize=size, clip_on=False)
    axes.set(xlim=(-5, PERCENT + 5), ylim=(0, PERCENT))
    axes.tick_params(length=0, labelsize="small")
