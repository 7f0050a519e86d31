"""Accuracy against the share of tokens that the other model drew: a row a domain, forward at the left, reverse at the
right, with the controls, and each model alone as a level line."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from thicket.reporting.svg import ROLES
from thicket.reporting.text import PERCENT

WIDTH, ROW, HEAD, FOOT = 7.6, 2.1, 0.85, 0.5
"""Inches: of the picture, of a domain's row, and the room above and below the rows."""
COLUMNS = {"forward": ("base", "other"), "reverse": ("other", "base")}
"""Direction → who answers, and who steps in."""
WAYS = {
    "divergence": ("by divergence", "series-1", "o", "-"),
    "random": ("at random", "series-2", "s", "--"),
    "entropy": ("by entropy", "series-4", "^", "-."),
    "log_ratio": ("by log-ratio", "series-3", "D", ":"),
}
"""Way → its label, colour, marker and line."""
LEVELS = {"base": (0, (4, 3)), "other": (0, (1, 1.5))}
"""Model alone → its line."""
TICKS, LEGEND_COLUMNS = 5, 3


def picture(result: Mapping[str, Any], tables: Mapping[str, list[dict[str, str]]]) -> Figure:
    """Points are thresholds; a curve begins with who answers, alone. Bars: intervals of what divergence chooses."""
    names: dict[str, str] = dict(zip(LEVELS, result["models"], strict=True))
    values = {(one["domain"], one["name"]): one for one in result["statistics"]}
    domains, height = result["domains"], HEAD + ROW * len(result["domains"]) + FOOT
    figure = Figure(figsize=(WIDTH, height))
    grid = figure.subplots(len(domains), len(COLUMNS), sharex=True, sharey="row", squeeze=False)
    figure.subplots_adjust(left=0.09, right=0.98, top=1 - HEAD / height, bottom=FOOT / height, hspace=0.18, wspace=0.08)
    for row, domain in enumerate(domains):
        for axes, (direction, (answers, steps_in)) in zip(grid[row], COLUMNS.items(), strict=True):
            curves = [one for one in tables["curves"] if (one["domain"], one["direction"]) == (domain, direction)]
            _panel(axes, curves, values, domain, answers)
            axes.tick_params(length=0)
            if row == 0:
                axes.set_title(f"{names[answers]} answers, {names[steps_in]} steps in", fontsize="medium")
            if row == len(domains) - 1:
                axes.set_xlabel(f"tokens drawn by {names[steps_in]} (%)")
        grid[row, 0].set_ylabel(f"{domain}: accuracy (%)")
    handles = {handle.get_label(): handle for handle in grid[0, 0].get_lines() if handle.get_label()[0] != "_"}
    labels = [f"{names[label]} alone" if label in names else label for label in handles]
    figure.legend(list(handles.values()), labels, loc="upper center", ncols=LEGEND_COLUMNS)
    grid[0, 0].set_xlim(left=0)
    return figure


def _panel(
    axes: Axes,
    curves: list[dict[str, str]],
    values: Mapping[tuple[str, str], Mapping[str, Any]],
    domain: str,
    answers: str,
) -> None:
    levels = {model: values[domain, f"accuracy:{model}"]["value"] * PERCENT for model in LEVELS}
    for model, line in LEVELS.items():
        axes.axhline(levels[model], color=ROLES["ink"], linewidth=1.2, linestyle=line, label=model)
    for way, (label, colour, marker, line) in WAYS.items():
        rows = sorted((one for one in curves if one["way"] == way), key=lambda one: float(one["swapped_share"]))
        if not rows:
            continue
        x, y = (np.array([float(one[key]) * PERCENT for one in rows]) for key in ("swapped_share", "accuracy"))
        look: dict[str, Any] = {"color": ROLES[colour], "linestyle": line, "linewidth": 1.3}
        axes.plot([0, x[0]], [levels[answers], y[0]], **look)
        axes.plot(x, y, marker=marker, markersize=4, label=label, **look)
        if way == "divergence":
            measured = [values[domain, f"accuracy:{one['direction']}:{float(one['threshold']):g}"] for one in rows]
            low, high = (np.array([one[end] for one in measured]) * PERCENT for end in ("low", "high"))
            axes.errorbar(x, y, yerr=(y - low, high - y), fmt="none", ecolor=ROLES[colour], alpha=0.45)
    axes.yaxis.set_major_locator(MaxNLocator(TICKS))
