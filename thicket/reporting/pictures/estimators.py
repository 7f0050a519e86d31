"""Estimators side by side, domain by domain: the variance of one prompt's gradient, the bias, and the cosine with the
gradient of the whole vocabulary."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

from thicket.reporting.pictures.neighbours import WIDTH
from thicket.reporting.svg import INCH, ROLES

TOP, ROW, FOOT, GAP, LETTER = 28.0, 46.0, 44.0, 22.0, 5.8
"""Points: legend, height of a domain, room below, between panels, width of a letter."""
ESTIMATORS = {
    "full_vocab": ("full vocabulary", "ink", "D"),
    "top_k": ("top k and the rest", "series-4", "s"),
    "top1": ("top 1", "series-3", "^"),
    "sampled_token": ("sampled token", "series-2", "o"),
}
"""Estimator → its label, colour and marker."""
PANELS = {
    "variance": "variance of one prompt's\ngradient, over its mean²",
    "bias": "bias of the batch's gradient,\nover its length",
    "cosine": "cosine with the\nexact gradient",
}
CHANCE = "bias that draws alone explain"
LABELLED = (1.0, 3.0)
"""Of each power of ten, on the axis of variances."""
ENDS = (0.025, 0.975)
"""Of the replicates."""
ROOM = 0.64
"""Of a domain's height, the part that its estimators take."""


def picture(result: Mapping[str, Any], tables: Mapping[str, list[dict[str, str]]]) -> Figure:
    """Bars: bootstrap intervals over prompts. What has no value (no gradient that is told from noise) is left out."""
    domains = result["domains"]
    width, height = WIDTH * INCH, TOP + ROW * len(domains) + FOOT
    side = LETTER * max(map(len, domains)) + GAP
    figure = Figure(figsize=(WIDTH, height / INCH))
    each = (width - side - GAP * len(PANELS)) / len(PANELS)
    for place, (kind, label) in enumerate(PANELS.items()):
        box = ((side + place * (each + GAP)) / width, FOOT / height, each / width, ROW * len(domains) / height)
        axes = figure.add_axes(box)
        _panel(axes, result["figures"], kind, domains, tables["estimators"])
        axes.set_xlabel(label)
        axes.set(ylim=(len(domains) - 0.5, -0.5), yticks=range(len(domains)), yticklabels=[] if place else domains)
        axes.tick_params(length=0)
        axes.grid(axis="y", visible=False)
        for border in range(1, len(domains)):
            axes.axhline(border - 0.5, color=ROLES["line"], linewidth=0.5)
    handles = {handle.get_label(): handle for axes in figure.axes for handle in axes.get_lines()}
    shown = [label for label in (*(label for label, _, _ in ESTIMATORS.values()), CHANCE) if label in handles]
    figure.legend(
        [handles[label] for label in shown],
        shown,
        loc="upper left",
        bbox_to_anchor=(0, 1),
        ncols=len(shown),
        handletextpad=0.2,
        columnspacing=1.2,
    )
    return figure


def _panel(
    axes: Axes, figures: Mapping[str, Any], kind: str, domains: Sequence[str], rows: Sequence[Mapping[str, str]]
) -> None:
    of_row = {(row["domain"], row["estimator"]): row for row in rows}
    if kind == "variance":
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=LABELLED))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))  # the usual one writes mathematics
    for number, (estimator, (label, colour, marker)) in enumerate(ESTIMATORS.items()):
        if kind != "variance" and estimator == "full_vocab":
            continue
        for place, domain in enumerate(domains):
            value = of_row[domain, estimator][kind]
            if value == "":
                continue
            y = place + ROOM * ((number + 0.5) / len(ESTIMATORS) - 0.5)
            drawn = figures["replicates"].get(f"{kind}:{estimator}:{domain}", [])
            known = [one for one in drawn if one is not None]
            if known:
                axes.hlines(y, *np.quantile(known, ENDS), color=ROLES[colour], linewidth=2, alpha=0.45)
            axes.plot(float(value), y, marker, color=ROLES[colour], label=label, markersize=5, clip_on=False)
            if kind == "bias" and of_row[domain, estimator]["bias_noise"] != "":
                chance = float(of_row[domain, estimator]["bias_noise"])
                axes.plot(chance, y, "|", color=ROLES["ink"], label=CHANCE, markersize=10, linestyle="none")
    if kind == "bias":
        axes.set_xlim(left=0)
    if kind == "cosine":
        axes.set_xlim(right=1.0)
        axes.set_xlim(left=min(0.0, axes.get_xlim()[0]))
