"""Discordance within each σ against its null and its floor; beside it, the correlations of each pair of domains."""

from collections.abc import Callable, Mapping, Sequence
from math import ceil
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from thicket.reporting.pictures.neighbours import WIDTH, distinct, level, look
from thicket.reporting.svg import INCH, ROLES

Rows = Sequence[Mapping[str, str]]
SIDE, PANEL, TOP, FOOT, CELL, GAP, LETTER = 44.0, 146.0, 62.0, 36.0, 26.0, 14.0, 5.2
"""Points: left edge, the panel of D, legend, room below, a cell, between panels, a letter of a domain's name."""
HEIGHT = 170.0
"""Points: the panel of D."""
NOTE = 32.0
"""Points: the note on the matrices, below the top."""
ENDS = (0.025, 0.975)
"""Of the replicates."""
COLOURS, DARK, LIGHT = "RdBu", "#000000", "#ffffff"
STRONG = 0.6
"""Correlation from which on a cell is so dark that its figure is written in white."""


def picture(result: Mapping[str, Any], tables: Mapping[str, list[dict[str, str]]]) -> Figure:
    """In a matrix the raw correlations are above the diagonal and the corrected ones below it."""
    rows, figures = tables["correlations"], result["figures"]
    sigmas, domains = distinct(rows, "sigma"), list(result["domains"])
    cells = CELL * len(domains)
    names = LETTER * max(map(len, domains)) + GAP
    first, side = SIDE + PANEL + GAP, names + cells + GAP
    abreast = max(1, int((WIDTH * INCH - first) // side))
    width = max(WIDTH * INCH, first + side)
    height = TOP + max(HEIGHT + FOOT, ceil(len(sigmas) / abreast) * (side + GAP))
    figure = Figure(figsize=(width / INCH, height / INCH))
    axes = figure.add_axes((SIDE / width, (height - TOP - HEIGHT) / height, PANEL / width, HEIGHT / height))
    _levels(axes, figures, [level(one) for one in sigmas], len(domains))
    for place, sigma in enumerate(sigmas):
        left = first + place % abreast * side + names
        bottom = height - TOP - place // abreast * (side + GAP) - cells
        matrix = figure.add_axes((left / width, bottom / height, cells / width, cells / height))
        _matrix(matrix, [row for row in rows if row["sigma"] == sigma], domains)
        matrix.set_title(f"σ = {level(sigma)}", fontsize="medium", color=ROLES["ink"], loc="left")
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper left", bbox_to_anchor=(0, 1), ncols=len(labels), columnspacing=1.2)
    note = "correlation of ranks: raw above the diagonal, corrected below"
    figure.text((first + GAP) / width, 1 - NOTE / height, note, color=ROLES["muted"], fontsize="small")
    return figure


def _levels(axes: Axes, figures: Mapping[str, Any], sigmas: Sequence[str], domains: int) -> None:
    for place, sigma in enumerate(sigmas):
        found, null = figures["levels"][sigma], figures["levels"][sigma]["null"]
        if null["low"] is not None:
            label = "null: ranks permuted" if place == 0 else ""
            ends = [place - 0.4, place + 0.4]
            axes.fill_between(ends, null["low"], null["high"], color=ROLES["other"], alpha=0.3, lw=0, label=label)
        if found["lowest"] is not None:
            label = "all rank alike, same noise" if place == 0 else ""
            axes.hlines(found["lowest"], place - 0.4, place + 0.4, color=ROLES["ink"], linestyle="--", label=label)
    measured, corrected = look(0), look(1)
    raw = [_ends(figures, "discordance", sigma, lambda value: value) for sigma in sigmas]
    _points(axes, raw, -0.12, "D", measured)
    clean = [_ends(figures, "corrected", sigma, lambda value: 1 - value) for sigma in sigmas]
    _points(axes, clean, 0.12, "D, corrected for noise", {**corrected, "markerfacecolor": "none"})
    axes.set(xticks=range(len(sigmas)), xticklabels=sigmas, xlabel="σ, in units of the weights")
    axes.set(ylabel="discordance D", xlim=(-0.6, len(sigmas) - 0.4))
    axes.set_ylim(bottom=0, top=max(axes.get_ylim()[1], 1.2 if domains > 2 else 2.0))
    axes.axhline(1.0, color=ROLES["muted"], linewidth=0.8)
    axes.grid(axis="x", visible=False)
    axes.tick_params(length=0)


def _ends(
    figures: Mapping[str, Any], name: str, sigma: str, shown: Callable[[float], float]
) -> tuple[float, float, float] | None:
    """The value and its bootstrap interval over perturbations."""
    value, key = figures["values"][f"{name}@{sigma}"], f"{name}@{sigma}"
    replicates = [shown(one) for one in figures["replicates"][key] if one is not None]
    if value is None or not replicates:
        return None
    low, high = np.quantile(replicates, ENDS)
    return shown(value), float(low), float(high)


def _points(
    axes: Axes, found: Sequence[tuple[float, float, float] | None], aside: float, label: str, style: Mapping[str, Any]
) -> None:
    there = [(place + aside, ends) for place, ends in enumerate(found) if ends]
    for x, (_, low, high) in there:
        axes.vlines(x, low, high, color=style["color"], linewidth=2, alpha=0.5)
    xs, ys = [x for x, _ in there], [ends[0] for _, ends in there]
    axes.plot(xs, ys, linestyle="none", markersize=6, label=label, **style)


def _matrix(axes: Axes, rows: Rows, domains: Sequence[str]) -> None:
    values = np.full((len(domains), len(domains)), np.nan)
    for row in rows:
        a, b = domains.index(row["domain_a"]), domains.index(row["domain_b"])
        for name, cell in (("raw", (a, b)), ("corrected", (b, a))):
            if row[name] != "":
                values[cell] = float(row[name])
    axes.imshow(values, colormaps[COLOURS], vmin=-1, vmax=1, aspect="auto")
    for (a, b), value in np.ndenumerate(values):
        if a != b:
            colour = ROLES["ink"] if np.isnan(value) else LIGHT if abs(value) > STRONG else DARK
            text = "–" if np.isnan(value) else f"{value:+.2f}".replace("0.", ".").replace("-", "−")
            axes.text(b, a, text, ha="center", va="center", color=colour, fontsize="small")
    places = range(len(domains))
    axes.set_yticks(places, domains)
    axes.set_xticks(places, domains, rotation=90)
    axes.grid(visible=False)
    axes.tick_params(length=0, labelsize="small")
    axes.spines[:].set_visible(False)
