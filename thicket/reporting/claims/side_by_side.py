"""How far models by different methods diverge from their base, side by side and over the course of training."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

from thicket.reporting.claims.evidence import AnalysisResult, Evidence
from thicket.reporting.svg import INCH, ROLES, SERIES
from thicket.reporting.text import PERCENT

ALONG = "along-other"
"""Whose responses: those of the model that was made."""
BELOW = "js_below_"
WIDTH, ROW, COURSE, HEAD, FOOT, LETTER, GAP = 620.0, 20.0, 170.0, 34.0, 36.0, 5.2, 12.0
"""Points: of the picture; height of a method's row, of the course, room above and below axes; a letter, a gap."""
SCALE = 42.0
"""Room for the lower axis's numbers and its name, in points; the methods' names may want more."""
SPLIT = 0.62
"""Of the row of bars, the share of its width that the shares take; the rest are means."""
FAINTEST, DARKEST = 0.12, 0.85
"""Opacity of the bands of lowest and of highest divergence."""
TICKS, COLUMNS = 4, 6
"""Most on the axis of means; entries in a row of the legend."""
MARKERS = "os^DvPX*"


@dataclass(frozen=True)
class Looked:
    """One model on one domain."""

    way: str
    """The option of conf/method that made it."""
    line: tuple[str, str, str, int]
    """Base, way, domain and seed: models of one line are the course of one training."""
    flops: float
    """Of its own training."""
    below: dict[float, float]
    """Cut of JS, nats → share of positions below."""
    js: float
    """Mean, nats."""


def looked(evidence: Evidence) -> list[Looked]:
    """Every analysis of divergence, domain by domain; those without a model's own training are left out."""
    found = list[Looked]()
    for look in evidence.of_type("divergence"):
        model = evidence.models[look.made.models[1]]
        if model.base is not None:
            found += [
                Looked(
                    way=model.method,
                    line=(evidence.root_of(model.name), model.method, domain, model.seed),
                    flops=evidence.own_flops(model.name),
                    below=_below(look, domain),
                    js=_value(look, "js_mean", domain),
                )
                for domain in look.domains("js_mean", ALONG)
            ]
    return found


def picture(found: Sequence[Looked]) -> Figure:
    """Above: a bar for each method, means over domains and seeds of its longest training. Below: mean divergence by
    training's FLOPs, a line for each domain and seed."""
    ways = sorted({one.way for one in found}, key=lambda way: np.mean([one.js for one in _longest(found, way)]))
    height = HEAD + ROW * len(ways) + FOOT + HEAD + COURSE + FOOT
    left = max(LETTER * max(map(len, ways)) + GAP, SCALE)
    figure = Figure(figsize=(WIDTH / INCH, height / INCH))
    room, bottom = WIDTH - left - 3 * GAP, height - HEAD - ROW * len(ways)
    places = [(left, room * SPLIT), (left + room * SPLIT + 2 * GAP, room * (1 - SPLIT))]
    shares, means = (
        figure.add_axes((x / WIDTH, bottom / height, wide / WIDTH, ROW * len(ways) / height)) for x, wide in places
    )
    _bars(shares, found, ways)
    _means(means, found, ways)
    course = figure.add_axes((left / WIDTH, FOOT / height, (WIDTH - left - GAP) / WIDTH, COURSE / height))
    _course(course, found, ways)
    return figure


def _longest(found: Sequence[Looked], way: str) -> list[Looked]:
    """Of each line of a method, the model that was trained longest."""
    lines: dict[tuple[str, str, str, int], Looked] = {}
    for one in (one for one in found if one.way == way):
        if one.line not in lines or one.flops > lines[one.line].flops:
            lines[one.line] = one
    return list(lines.values())


def _bars(axes: Axes, found: Sequence[Looked], ways: Sequence[str]) -> None:
    cuts = sorted({cut for one in found for cut in one.below})
    names = [f"< {cuts[0]:g}", *(f"to {cut:g}" for cut in cuts[1:]), f"≥ {cuts[-1]:g}"]
    depths = np.linspace(FAINTEST, DARKEST, len(names))
    for y, way in enumerate(ways):
        own = _longest(found, way)
        ends = [0.0, *(float(np.mean([one.below[cut] for one in own if cut in one.below])) for cut in cuts), 1.0]
        for place, (low, high) in enumerate(pairwise(ends)):
            axes.barh(
                y,
                (high - low) * PERCENT,
                left=low * PERCENT,
                height=0.7,
                color=ROLES["student"],
                alpha=depths[place],
                linewidth=0,
                label=names[place] if y == 0 else None,
            )
    axes.set(xlim=(0, PERCENT), ylim=(len(ways) - 0.5, -0.5), xlabel="positions (%) by JS to the base (nats)")
    axes.set_yticks(range(len(ways)), ways)
    axes.grid(visible=False)
    axes.tick_params(length=0)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=len(names), handlelength=1.0, columnspacing=0.8)


def _means(axes: Axes, found: Sequence[Looked], ways: Sequence[str]) -> None:
    """Every domain and seed a dot, their mean a bar."""
    for y, way in enumerate(ways):
        values = [one.js for one in _longest(found, way)]
        axes.plot(values, np.full(len(values), y), "o", color=ROLES["student"], alpha=0.4, markersize=4, clip_on=False)
        axes.plot([np.mean(values)] * 2, [y - 0.35, y + 0.35], color=ROLES["ink"], linewidth=1.5)
    axes.set(ylim=(len(ways) - 0.5, -0.5), yticks=[], xlabel="mean JS (nats)")
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(TICKS))
    axes.grid(axis="y", visible=False)
    axes.tick_params(length=0)


def _course(axes: Axes, found: Sequence[Looked], ways: Sequence[str]) -> None:
    """From the base on. Models without training of their own, as merges are, are not on it."""
    for place, way in enumerate(ways):
        style = {"color": ROLES[SERIES[place % len(SERIES)]], "marker": MARKERS[place % len(MARKERS)], "markersize": 4}
        trained = [one for one in found if one.way == way and one.flops > 0]
        for number, line in enumerate(sorted({one.line for one in trained})):
            own = sorted((one.flops, one.js) for one in trained if one.line == line)
            flops, js = zip((0.0, 0.0), *own, strict=True)
            label = way if number == 0 else None
            axes.plot(flops, js, alpha=0.75, linewidth=1, label=label, clip_on=False, **style)
    axes.set(xlabel="FLOPs of training", ylabel="mean JS (nats)")
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_formatter(EngFormatter(sep=" "))
    axes.tick_params(length=0)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=COLUMNS, handlelength=1.4, columnspacing=1.0)


def _below(look: AnalysisResult, domain: str) -> dict[float, float]:
    cuts = {float(name.removeprefix(BELOW)): name for name in look.names(BELOW)}
    return {cut: _value(look, name, domain) for cut, name in cuts.items() if cut > 0}


def _value(look: AnalysisResult, name: str, domain: str) -> float:
    found = look.value(name, domain, ALONG)
    return float("nan") if found is None else found
