"""Scores on the lines between models; below, each pair's barrier, disagreement and cosine, and random directions."""

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from thicket.reporting.pictures.neighbours import WIDTH, distinct, look
from thicket.reporting.pictures.rows import FULL, OPEN, decades, key, rows, zero
from thicket.reporting.svg import INCH, ROLES
from thicket.reporting.text import PERCENT

Rows = Sequence[Mapping[str, str]]
TOP, PANEL, FOOT, ROW, GAP, SIDE, LETTER = 18.0, 112.0, 38.0, 17.0, 28.0, 34.0, 5.2
"""Points: a title or legend, a panel of lines, room below axes, a row, between axes (two
numbers stand there), left edge, width of a letter."""
ABREAST = 4
"""Panels of lines side by side, at most."""
MEASURES, NARROWEST = 3, 132.0
"""Panels of pairs side by side, and points that the text below and above one of them takes."""
LEVEL = 0.95
"""Of the barriers' intervals."""
ENDS = (-2.0, PERCENT + 2.0)
"""Percent: with room for a marker at 0 and at 100."""
ALL = "all"


def picture(result: Mapping[str, Any], tables: Mapping[str, list[dict[str, str]]]) -> Figure:
    """A pair has one colour and marker throughout. Barriers and disagreements are means over domains."""
    lines, controls = tables["lines"], tables.get("controls", [])
    domains, pairs, models = distinct(lines, "domain"), distinct(lines, "pair"), result["models"][1:]
    last = TOP + ROW * len(models) + FOOT if controls else 0.0
    height = ceil(len(domains) / ABREAST) * (TOP + PANEL + FOOT) + TOP + ROW * len(pairs) + FOOT + last
    width = max(WIDTH * INCH, _label(pairs) + MEASURES * (NARROWEST + GAP))
    figure = Figure(figsize=(width / INCH, height / INCH))
    _lines(figure, lines, domains, pairs)
    _pairs(figure, result, pairs, last + FOOT)
    if controls:
        _models(figure, result, controls, models)
    return figure


def _label(names: Sequence[str]) -> float:
    """Points that the longest name takes at the left."""
    return LETTER * max(map(len, names)) + GAP


def _axes(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Axes at a place in points."""
    across, up = figure.get_figwidth() * INCH, figure.get_figheight() * INCH
    axes = figure.add_axes((left / across, bottom / up, width / across, height / up))
    axes.tick_params(length=0)
    return axes


def _beside(figure: Figure, labels: Sequence[str], bottom: float, count: int) -> list[Axes]:
    """So many axes with a row for each label."""
    left, whole = _label(labels), figure.get_figwidth() * INCH
    width = (whole - left - count * GAP) / count
    made = [_axes(figure, left + place * (width + GAP), bottom, width, ROW * len(labels)) for place in range(count)]
    for place, axes in enumerate(made):
        rows(axes, labels, named=place == 0)
    return made


def _lines(figure: Figure, lines: Rows, domains: Sequence[str], pairs: Sequence[str]) -> None:
    abreast, top = min(ABREAST, len(domains)), figure.get_figheight() * INCH
    width = (figure.get_figwidth() * INCH - SIDE - GAP * abreast) / abreast
    for place, domain in enumerate(domains):
        left = SIDE + place % abreast * (width + GAP)
        axes = _axes(figure, left, top - (place // ABREAST + 1) * (TOP + PANEL + FOOT) + FOOT, width, PANEL)
        for number, pair in enumerate(pairs):
            mine = [row for row in lines if (row["domain"], row["pair"]) == (domain, pair)]
            alphas, scores = [float(row["alpha"]) for row in mine], [float(row["score"]) * PERCENT for row in mine]
            axes.plot(alphas, scores, linewidth=1, markersize=3, clip_on=False, **look(number))
        axes.set_title(domain, fontsize="medium", color=ROLES["ink"], loc="left", pad=4)
        axes.set(xlim=(0, 1), ylim=ENDS, xticks=[0, 0.5, 1], xticklabels=["0", "½", "1"])
        axes.set_xlabel("α: weight of the first")
        if place % abreast == 0:
            axes.set_ylabel("score (%)")
        else:
            axes.set_yticklabels([])


def _pairs(figure: Figure, result: Mapping[str, Any], pairs: Sequence[str], bottom: float) -> None:
    barriers, disagreements, cosines = _beside(figure, pairs, bottom, MEASURES)
    replicates, values, found = (result["figures"][name] for name in ("replicates", "values", "cosines"))
    for y, pair in enumerate(pairs):
        style, name = look(y), f"barrier:{pair}:{ALL}"
        low, high = np.quantile(replicates[name], [(1 - LEVEL) / 2, (1 + LEVEL) / 2]) * PERCENT
        barriers.hlines(y, low, high, color=style["color"], linewidth=2.5, alpha=0.45)
        _two(barriers, y, values[name], _mean(result, "barrier_mid", pair), style)
        verdict, text = (_mean(result, f"disagreement_{kind}", pair) for kind in ("verdict", "text"))
        _two(disagreements, y, verdict, text, style)
        if found.get(pair) is not None:
            cosines.plot(found[pair], y, clip_on=False, **FULL, **style)
    zero(barriers)
    barriers.set_xlabel("error above the chord (%)")
    key(barriers, "largest", "half-way")
    disagreements.set(xlim=ENDS, xlabel="answers that differ (%)")
    key(disagreements, "in verdict", "in text")
    zero(cosines)
    cosines.set(xlim=(-1, 1), xticks=[-1, 0, 1], xlabel="cosine of differences")


def _two(axes: Axes, y: float, full: float, empty: float, style: Mapping[str, Any]) -> None:
    axes.plot(empty * PERCENT, y, clip_on=False, **OPEN, **style)
    axes.plot(full * PERCENT, y, clip_on=False, **FULL, **style)


def _models(figure: Figure, result: Mapping[str, Any], controls: Rows, models: Sequence[str]) -> None:
    """Each model's score beside those at random directions of its length, and that length."""
    scores, lengths = _beside(figure, models, FOOT, 2)
    base, own, other = _mean(result, "score", result["models"][0]) * PERCENT, look(0), look(1)
    scores.axvline(base, color=ROLES["ink"], linewidth=1, linestyle=(0, (4, 3)))
    relative = [(result["figures"]["deltas"][model]["relative_norm"] or 0.0) * PERCENT for model in models]
    for y, model in enumerate(models):
        there = [row for row in controls if row["model"] == model]
        for direction in distinct(there, "direction"):
            mean = np.mean([float(row["score"]) for row in there if row["direction"] == direction])
            scores.plot(float(mean) * PERCENT, y, clip_on=False, **OPEN, **other)
        scores.plot(_mean(result, "score", model) * PERCENT, y, clip_on=False, **FULL, **own)
        lengths.plot(relative[y], y, clip_on=False, **FULL, **own)
    scores.set(xlim=ENDS, xlabel="mean score (%); broken line: the base")
    key(scores, "the model", "random directions", own, other)
    lengths.set_xlabel("length of the difference (% of the base)")
    decades(lengths, "x", relative)


def _mean(result: Mapping[str, Any], name: str, of: str) -> float:
    """The mean over domains of a statistic."""
    found = [one["value"] for one in result["statistics"] if (one["name"], one["of"]) == (name, of)]
    return float(np.mean(found))
