"""Divergence from a base, a colour and a marker for each domain: how much, where in a response, how the base ranks the
new first choices, at which entropy, and whether the token alone tells.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullFormatter

from thicket.reporting.svg import ROLES, SERIES
from thicket.reporting.text import PERCENT

WIDTH, PANELS, HEAD, ENTRY = 7.6, 7.6, 0.3, 0.2
"""Inches: of the picture, of the panels, and above them for their titles and for each row of the legend."""
MARKERS = "os^DvPX"
LINES: dict[str, dict[str, Any]] = {
    "along-other": {"linestyle": "-", "linewidth": 1.4},
    "along-base": {"linestyle": (0, (4, 2)), "linewidth": 0.9, "markerfacecolor": "none"},
}
"""Whose responses → how lines and markers are drawn."""
DRAWN = "along-other"
"""Whose responses the ranks and the types are of."""
SIDE = 0.18
"""How far a domain's two markers lie from the middle of its room."""
SMALLEST, LARGEST = 8.0, 160.0
"""Area of a type's dot, in points²."""
HEADROOM, LEGEND_COLUMNS = 1.05, 4
BELOW, SHARE = "js_below_", "token_share_of_variance"
INTERVAL = (0.025, 0.975)
"""Of the resamples of a share of variance."""
Rows = list[dict[str, str]]


def picture(result: Mapping[str, Any], tables: Mapping[str, Rows]) -> Figure:
    """Bars at markers are intervals over items."""
    base, other = result["models"]
    domains: list[str] = result["domains"]
    entries = len(domains) + len(LINES)
    height = PANELS + HEAD + ENTRY * -(-entries // LEGEND_COLUMNS)
    figure = Figure(figsize=(WIDTH, height))
    grid = figure.subplots(3, 2)
    figure.subplots_adjust(left=0.09, right=0.98, top=PANELS / height, bottom=0.06, hspace=0.42, wspace=0.24)
    _shares(grid[0, 0], result, domains)
    grid[0, 0].set(title="How much", xlabel="JS (nats)", ylabel="positions below (%)")
    _by_place(grid[0, 1], result, tables["position"], domains)
    grid[0, 1].set(title="Where in a response", xlabel="way through the response (%)", ylabel="mean JS (nats)")
    _by_rank(grid[1, 0], tables["ranks"], domains)
    grid[1, 0].set(title="Among the base's candidates", ylabel="positions with high JS (%)")
    grid[1, 0].set_xlabel(f"rank in {base} of {other}'s first choice")
    _by_entropy(grid[1, 1], tables["entropy"], domains)
    grid[1, 1].set(title="At which entropy", xlabel=f"entropy of {base} (nats)", ylabel="mean JS (nats)")
    _explained(grid[2, 0], result, domains)
    grid[2, 0].set(title="What the token explains", xlabel="share of the variance of JS (%)", ylabel="domain")
    _types(grid[2, 1], tables["tokens"], domains)
    grid[2, 1].set(
        title="Types of token", xlabel="of its positions, low JS (%)", ylabel="of its positions, high JS (%)"
    )
    for axes in grid.flat:
        axes.set_title(axes.get_title(), fontsize="medium")
        axes.tick_params(length=0)
    handles = [
        Line2D([], [], **{**look(place), "linestyle": "none"}, label=domain) for place, domain in enumerate(domains)
    ]
    authors = {"along-other": other, "along-base": base}
    handles += [
        Line2D(
            [], [], color=ROLES["ink"], marker=MARKERS[0], markersize=4, label=f"responses of {authors[name]}", **line
        )
        for name, line in LINES.items()
    ]
    figure.legend(handles=handles, loc="upper center", ncols=LEGEND_COLUMNS)
    return figure


def look(place: int) -> dict[str, Any]:
    """Colour and marker of a domain."""
    return {"color": ROLES[SERIES[place % len(SERIES)]], "marker": MARKERS[place % len(MARKERS)], "markersize": 4}


def _shares(axes: Axes, result: Mapping[str, Any], domains: list[str]) -> None:
    for name, line in LINES.items():
        for place, domain in enumerate(domains):
            found = {
                float(one["name"].removeprefix(BELOW)): one
                for one in result["statistics"]
                if one["name"].startswith(BELOW) and (one["domain"], one["of"]) == (domain, name)
            }
            cuts = sorted(cut for cut in found if cut > 0)
            y, low, high = (np.array([found[cut][end] * PERCENT for cut in cuts]) for end in ("value", "low", "high"))
            axes.errorbar(cuts, y, yerr=(y - low, high - y), elinewidth=0.8, **look(place), **line)
    axes.set_xscale("log")
    _plain_powers(axes.xaxis)
    axes.set_ylim(0, PERCENT * HEADROOM)


def _by_place(axes: Axes, result: Mapping[str, Any], rows: Rows, domains: list[str]) -> None:
    bins = result["analysis"]["bins"]
    for name, line in LINES.items():
        for place, domain in enumerate(domains):
            own = _of(rows, name, domain)
            middles = [(float(row["bin"]) + 0.5) / bins * PERCENT for row in own]
            axes.plot(middles, [float(row["js"]) for row in own], **look(place), **line)
    axes.set_xlim(0, PERCENT)
    axes.set_ylim(bottom=0)


def _by_rank(axes: Axes, rows: Rows, domains: list[str]) -> None:
    labels = list(dict.fromkeys(row["rank"] for row in rows))
    for place, domain in enumerate(domains):
        own = [row for row in _of(rows, DRAWN, domain) if row["share"]]
        x, y = [labels.index(row["rank"]) for row in own], [float(row["share"]) * PERCENT for row in own]
        axes.plot(x, y, **look(place), **LINES[DRAWN])
    axes.set_xticks(range(len(labels)), labels)
    axes.set_ylim(0, PERCENT * HEADROOM)


def _by_entropy(axes: Axes, rows: Rows, domains: list[str]) -> None:
    """Both axes logarithmic, for most positions have little of either; what is 0 has no place there."""
    drawn = False
    for name, line in LINES.items():
        for place, domain in enumerate(domains):
            points = [(float(row["entropy"]), float(row["js"])) for row in _of(rows, name, domain)]
            known = [point for point in points if min(point) > 0]
            drawn = drawn or bool(known)
            axes.plot([x for x, _ in known], [y for _, y in known], **look(place), **line)
    if drawn:
        axes.set(xscale="log", yscale="log")
        _plain_powers(axes.xaxis)
        _plain_powers(axes.yaxis)


def _explained(axes: Axes, result: Mapping[str, Any], domains: list[str]) -> None:
    """Corrected for chance, so that it can come out below 0."""
    figures = result["figures"]
    for side, (name, line) in zip((-SIDE, SIDE), LINES.items(), strict=True):
        for place, domain in enumerate(domains):
            key = f"{SHARE}:{name}:{domain}"
            drawn = [value for value in figures["replicates"][key] if value is not None]
            if figures["values"][key] is None or not drawn:
                continue
            low, high = np.quantile(drawn, INTERVAL) * PERCENT
            style = {**look(place), **line, "linestyle": "none"}
            axes.hlines(place + side, low, high, color=style["color"], linewidth=line["linewidth"])
            axes.plot(figures["values"][key] * PERCENT, place + side, **style)
    axes.set(yticks=[], ylim=(len(domains) - 0.5, -0.5))
    axes.set_xlim(min(0.0, axes.get_xlim()[0]), PERCENT)
    axes.axvline(0, color=ROLES["muted"], linewidth=0.8)


def _types(axes: Axes, rows: Rows, domains: list[str]) -> None:
    """A dot a type, by how often it occurs. Where the token alone told low from high, all would lie on the axes."""
    for place, domain in enumerate(domains):
        own = _of(rows, DRAWN, domain)
        count, low, high = (np.array([float(row[key]) for row in own]) for key in ("count", "low", "high"))
        area = np.clip(LARGEST * count / count.max(initial=1), SMALLEST, None)
        style = {key: value for key, value in look(place).items() if key != "markersize"}
        axes.scatter(
            PERCENT * low / count, PERCENT * high / count, area, alpha=0.6, linewidths=0, clip_on=False, **style
        )
    axes.set(xlim=(0, PERCENT), ylim=(0, PERCENT))


def _plain_powers(axis: Axis) -> None:
    """Labels at powers of ten without exponents, which are not drawn as such here."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _of(rows: Rows, name: str, domain: str) -> Rows:
    return [row for row in rows if (row["along"], row["domain"]) == (name, domain)]
