"""The mean cosine between domains' gradients, model by model, and the ceiling that noise sets; below, each pair."""

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from thicket.reporting.pictures.neighbours import WIDTH
from thicket.reporting.svg import INCH, ROLES

TOP, LEVELS, SIDE, FOOT, CELL, GAP, TITLE, LETTER = 28.0, 120.0, 44.0, 46.0, 30.0, 10.0, 20.0, 4.8
"""Points: legend, height of the panel of means, left edge, room below it, a cell, between matrices, a matrix's title,
width of a letter."""
MEANS = {
    "ceiling": ("ceiling: parts of one domain", "other", "s"),
    "cosine": ("cosine of two domains", "series-1", "o"),
    "corrected": ("the same over the ceiling", "series-2", "D"),
}
"""Figure → its label, colour and marker."""
ASIDE = 0.16
ENDS = (0.025, 0.975)
"""Of the replicates."""
NOTE = "cosines: raw above the diagonal, over the ceiling below it; on it, parts of one domain"
COLOURS, DARK, LIGHT = "RdBu", "#000000", "#ffffff"
STRONG = 0.6
"""Cosine from which on a cell is so dark that its figure is written in white."""
SHOWN = 1.5
"""Largest quotient that the panel of means has room for; of noise alone it can be anything."""


def picture(result: Mapping[str, Any], tables: Mapping[str, list[dict[str, str]]]) -> Figure:
    """Means over pairs with bootstrap intervals over prompts; a matrix of the pairs for each model."""
    models, domains = result["models"], result["domains"]
    cells, name = CELL * len(domains), LETTER * max(map(len, domains)) + GAP
    width = max(WIDTH * INCH, name + cells + GAP)
    abreast = max(1, int((width - name) // (cells + GAP)))
    head = TOP + LEVELS + FOOT
    height = head + ceil(len(models) / abreast) * (TITLE + cells + GAP) + name
    figure = Figure(figsize=(width / INCH, height / INCH))
    box = (SIDE / width, (height - TOP - LEVELS) / height, (width - SIDE - GAP) / width, LEVELS / height)
    _means(figure.add_axes(box), result["figures"], models)
    for place, model in enumerate(models):
        left = name + place % abreast * (cells + GAP)
        bottom = height - head - place // abreast * (TITLE + cells + GAP) - TITLE - cells
        axes = figure.add_axes((left / width, bottom / height, cells / width, cells / height))
        _matrix(axes, tables, model, domains)
        axes.set_title(model, fontsize="medium", color=ROLES["ink"], loc="left", pad=4)
        axes.set_yticks(range(len(domains)), domains if place % abreast == 0 else [])
        lowest = place + abreast >= len(models)
        axes.set_xticks(range(len(domains)), domains if lowest else [], rotation=90)
    if any(axes.get_legend_handles_labels()[0] for axes in figure.axes):
        figure.legend(loc="upper left", bbox_to_anchor=(0, 1), ncols=len(MEANS), columnspacing=1.2, handletextpad=0.3)
    figure.text(GAP / width, 1 - head / height, NOTE, color=ROLES["muted"], fontsize="small")
    return figure


def _means(axes: Axes, figures: Mapping[str, Any], models: Sequence[str]) -> None:
    for number, (kind, (label, colour, marker)) in enumerate(MEANS.items()):
        shown = False
        for place, model in enumerate(models):
            value = figures["values"].get(f"{kind}:{model}:mean")
            if value is None:
                continue
            x = place + ASIDE * (number - 1)
            drawn = [one for one in figures["replicates"][f"{kind}:{model}:mean"] if one is not None]
            if drawn:
                axes.vlines(x, *np.quantile(drawn, ENDS), color=ROLES[colour], linewidth=2, alpha=0.5)
            axes.plot(x, value, marker, color=ROLES[colour], markersize=5, label=None if shown else label)
            shown = True
    axes.axhline(0, color=ROLES["muted"], linewidth=0.8)
    low, high = axes.get_ylim()
    axes.set(ylim=(max(low, -SHOWN), min(max(high, 0.0), SHOWN)), xlim=(-0.5, len(models) - 0.5))
    axes.set(xticks=range(len(models)), xticklabels=models, ylabel="mean over pairs")
    axes.grid(axis="x", visible=False)
    axes.tick_params(length=0)


def _matrix(axes: Axes, tables: Mapping[str, list[dict[str, str]]], model: str, domains: Sequence[str]) -> None:
    values = np.full((len(domains), len(domains)), np.nan)
    for row in tables["cosines"]:
        a, b = domains.index(row["a"]), domains.index(row["b"])
        for name, cell in (("raw", (a, b)), ("corrected", (b, a))):
            if row["model"] == model and row[name] != "":
                values[cell] = float(row[name])
    for row in tables["gradients"]:
        if row["model"] == model and row["within"] != "":
            place = domains.index(row["domain"])
            values[place, place] = float(row["within"])
    axes.imshow(values, colormaps[COLOURS], vmin=-1, vmax=1, aspect="auto")
    for (a, b), value in np.ndenumerate(values):
        colour = ROLES["ink"] if np.isnan(value) else LIGHT if abs(value) > STRONG else DARK
        text = "–" if np.isnan(value) else f"{value:+.2f}".replace("0.", ".")
        style = "italic" if a == b else "normal"
        axes.text(b, a, text, ha="center", va="center", color=colour, fontsize="small", fontstyle=style)
    axes.grid(visible=False)
    axes.tick_params(length=0, labelsize="small")
    axes.spines[:].set_visible(False)
