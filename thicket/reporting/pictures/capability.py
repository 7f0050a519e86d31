"""Pass@k of a base and of a model that was made from it, by domain."""

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from thicket.reporting.svg import ROLES
from thicket.reporting.text import PERCENT

PANEL_WIDTH, HEIGHT = 2.9, 2.6
"""Inches."""
ROOM = 9.0
"""Points above the axes, for markers at 100 %."""


def picture(result: Mapping[str, Any], tables: Mapping[str, list[dict[str, str]]]) -> Figure:
    """A panel for each domain."""
    domains, rows = list(result["domains"]), tables["pass_at_k"]
    figure = Figure(figsize=(PANEL_WIDTH * len(domains), HEIGHT), layout="constrained")
    ways = [(ROLES["ink"], "D", "--"), (ROLES["series-1"], "o", "-")]
    for place, domain in enumerate(domains):
        axes = figure.add_subplot(1, len(domains), place + 1)
        for model, (colour, marker, line) in zip(result["models"], ways, strict=True):
            own = [row for row in rows if row["model"] == model and row["domain"] == domain]
            k, share = [float(row["k"]) for row in own], [float(row["pass_at_k"]) * PERCENT for row in own]
            axes.plot(k, share, line, color=colour, marker=marker, markersize=4, label=model, clip_on=False)
        axes.set_title(domain, pad=ROOM)
        axes.set(xscale="log", ylim=(0, PERCENT), xlabel="k (log scale)")
        ks = sorted({int(row["k"]) for row in rows})
        axes.set_xticks(ks, list(map(str, ks)), minor=False)
        axes.minorticks_off()
        if place == 0:
            axes.set_ylabel("pass@k, %")
            axes.legend(loc="lower right")
    return figure
