"""The chance of being good on two domains at once, pair by pair, against the product of the two chances."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from thicket.reporting.pictures.neighbours import WIDTH, distinct, level, look, statistic
from thicket.reporting.svg import INCH, ROLES
from thicket.reporting.text import PERCENT

Rows = Sequence[Mapping[str, str]]
ROW, TOP, FOOT, GAP, LETTER = 18.0, 46.0, 34.0, 14.0, 5.4
"""Points: height of a pair, legend and title, room below, between panels, width of a letter."""


def picture(result: Mapping[str, Any], tables: Mapping[str, list[dict[str, str]]]) -> Figure:
    """Filled, with its interval: both at once; open: by chance, were the domains independent."""
    rows = tables["overlap"]
    sigmas, pairs = distinct(rows, "sigma"), list(dict.fromkeys(map(_pair, rows)))
    width, height = WIDTH * INCH, TOP + ROW * len(pairs) + FOOT
    side = LETTER * max(map(len, pairs)) + GAP
    figure = Figure(figsize=(WIDTH, height / INCH))
    each = (width - side - GAP * len(sigmas)) / len(sigmas)
    panels: list[Axes] = []
    for place, sigma in enumerate(sigmas):
        left = side + place * (each + GAP)
        box = (left / width, FOOT / height, each / width, ROW * len(pairs) / height)
        axes = figure.add_axes(box, sharex=panels[0] if panels else None)
        panels.append(axes)
        _panel(axes, result, [row for row in rows if row["sigma"] == sigma], pairs)
        axes.set_title(f"σ = {level(sigma)}", fontsize="medium", color=ROLES["ink"], loc="left")
        axes.set(ylim=(len(pairs) - 0.5, -0.5), yticks=range(len(pairs)), yticklabels=[] if place else pairs)
    panels[0].set_xlim(left=0)
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="upper right", bbox_to_anchor=(1, 1), ncols=2, handletextpad=0.2
    )
    return figure


def _pair(row: Mapping[str, str]) -> str:
    return f"{row['domain_a']}+{row['domain_b']}"


def _panel(axes: Axes, result: Mapping[str, Any], rows: Rows, pairs: Sequence[str]) -> None:
    joint, product = look(0), look(1)
    for row in rows:
        y, found = pairs.index(_pair(row)), statistic(result, f"joint@{level(row['sigma'])}", _pair(row))
        if found:
            axes.hlines(y, found[1] * PERCENT, found[2] * PERCENT, color=joint["color"], linewidth=2.5, alpha=0.45)
    ys = [pairs.index(_pair(row)) for row in rows]
    for name, label, style in (
        ("product", "P(A)·P(B): by chance", {**product, "markerfacecolor": "none", "markersize": 7}),
        ("joint", "P(A∧B): good on both", {**joint, "markersize": 5}),
    ):
        xs = [float(row[name]) * PERCENT for row in rows]
        axes.plot(xs, ys, linestyle="none", label=label, clip_on=False, **style)
    axes.set_xlabel("share of perturbations, %")
    axes.grid(axis="y", visible=False)
    axes.tick_params(length=0, pad=GAP / 2)
    axes.spines["left"].set_visible(False)
