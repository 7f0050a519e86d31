"""The figures of the report. Shares are drawn as percentages."""

from collections.abc import Iterator
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import EngFormatter, MaxNLocator

from thicket.reporting.axis import axis_end, cut
from thicket.reporting.results import ModelResult, Results
from thicket.reporting.ssd_map import draw_map, size
from thicket.reporting.svg import INCH, ROLES, SERIES, drawing, inline, save_png
from thicket.reporting.tables import is_own
from thicket.reporting.text import PERCENT, over_items, percent
from thicket.statistics.intervals import Interval

CURVE_WIDTH, CURVE_HEIGHT, BUDGET_WIDTH, BUDGET_HEIGHT = 3.1, 1.9, 7.6, 3.4
"""Inches; the page scales a figure down where it is narrower."""
ROW, HEAD, FOOT = 18.0, 6.0, 22.0
"""Points: the height of a model's row, and the room above and below the rows."""
LETTER, GAP, PLOT, VALUE = 6.0, 12.0, 220.0, 38.0
"""Points: the width of a letter, of a gap, of the axes, and of the column of values at the right."""
TRACE_HEIGHT = 0.5
"""Inches of each of the small ones below a learning curve."""
TRACES = {"loss": "loss", "entropy": "entropy", "length": "length", "kl": "KL"}
"""Column of a curve → what stands over its small picture, which begins at 0."""
CURVES = {"reward": "reward", "selection": "selection score"}
"""Column of the curve above those → what it is."""
TITLE, LINE = 34.0, 13.0
"""Points: the room of a map's title, and of each of its two lines."""
LEGEND_COLUMNS, TICKS = 5, 5
"""The most that fit side by side."""
LEGEND_LETTERS, LEGEND_HANDLE = 105, 6
"""Of a legend's line, of which a marker with its gap takes some."""
EDGE = 2.0
"""Percent of an axis: room for a marker at its ends."""
MARKERS = {"base": "D", "specialist": "o", "control": "^", "student": "s", "other": "o"}


def role(result: ModelResult, domain: str) -> str:
    """What a model is to a domain: its specialist or control, another one's, a student or a base."""
    kind = result.model.kind
    if kind != "specialist":
        return kind
    return "other" if not is_own(result.model, domain) else "control" if result.is_control else kind


def score_end(results: Results, domain: str) -> int:
    """Percent: where the axis of a domain's scores ends."""
    return axis_end(result.cells[domain].score.high for result in results.models.values())


def curve_end(result: ModelResult) -> int:
    """Percent: where the axis of a learning curve ends."""
    return axis_end(row[name] for row in result.curve for name in CURVES if name in row)


def score_panel(results: Results, domain: str, name: str) -> str:
    """All models on one domain: sampled pass@1 with its interval, each base as a broken line with its interval."""
    models = list(results.models.values())
    names = [results.label(name) for name in results.models]
    left = LETTER * max(map(len, names)) + GAP
    height, width = HEAD + ROW * len(models) + FOOT, left + PLOT + VALUE
    with drawing(width / INCH, height / INCH) as figure:
        axes = figure.add_axes((left / width, FOOT / height, PLOT / width, ROW * len(models) / height))
        for place, result in enumerate(models):
            _score_row(axes, place, result, domain)
        end = score_end(results, domain)
        room = EDGE * end / PERCENT
        axes.set(xlim=(-room, end + room), ylim=(len(models) - 0.5, -0.5), yticks=range(len(models)))
        labels = axes.set_yticklabels(names)
        for label, result in zip(labels, models, strict=True):
            _emphasise(label, role(result, domain))
        axes.tick_params(length=0)
        axes.grid(axis="y", visible=False)
        axes.spines["left"].set_visible(False)
        return inline(
            figure,
            name,
            f"Sampled pass@1 of each model on {domain}, in percent, with {over_items(results.settings.confidence)}",
        )


def _score_row(axes: Axes, place: int, result: ModelResult, domain: str) -> None:
    score, kind = result.cells[domain].score, role(result, domain)
    colour = ROLES["ink" if kind == "base" else kind]
    if kind == "base":
        axes.axvspan(score.low * PERCENT, score.high * PERCENT, color=ROLES["ink"], alpha=0.08, linewidth=0)
        axes.axvline(score.value * PERCENT, color=ROLES["ink"], linewidth=1, linestyle=(0, (4, 3)))
    axes.hlines(place, score.low * PERCENT, score.high * PERCENT, color=colour, linewidth=2.5, alpha=0.45)
    face = "none" if kind == "other" else colour
    axes.plot(score.value * PERCENT, place, MARKERS[kind], color=colour, markerfacecolor=face, markersize=6)
    at = axes.get_yaxis_transform()
    right = 1 + VALUE / PLOT
    value = axes.text(right, place, percent(score.value), transform=at, ha="right", va="center")
    _emphasise(value, kind)


def _emphasise(text: Text, kind: str) -> None:
    text.set_color(ROLES["muted" if kind == "other" else "ink" if kind == "base" else kind])
    text.set_fontweight("bold" if kind == "specialist" else "normal")


def has_curve(result: ModelResult) -> bool:
    """Whether there is a learning curve of rewards or scores."""
    return any(name in row for row in result.curve for name in CURVES)


def curve_panel(result: ModelResult, name: str) -> str:
    """Rewards of the rollouts and scores on the selection items, by step; a control's candidates, by temperature."""
    if result.is_control:
        return _candidates_panel(result, name)
    curves, traces = ([name for name in names if _told(result, name)] for names in (CURVES, TRACES))
    height = CURVE_HEIGHT + TRACE_HEIGHT * len(traces)
    with drawing(CURVE_WIDTH, height) as figure:
        room, row = CURVE_HEIGHT / height, TRACE_HEIGHT / height
        axes = figure.add_axes((0.11, 1 - 0.84 * room, 0.86, 0.79 * room))
        axes.plot(*_series(result, "step", "reward"), color=ROLES["other"], linewidth=0.8)
        kind = role(result, result.model.domain or "")
        marker = MARKERS[kind]
        axes.plot(*_series(result, "step", "selection"), color=ROLES[kind], marker=marker, markersize=4, linewidth=1.5)
        axes.xaxis.set_major_locator(MaxNLocator(TICKS, integer=True))
        axes.set_xlim(left=0)
        axes.set_ylim(top=curve_end(result))
        axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
        axes.tick_params(length=0)
        for place, trace in enumerate(reversed(traces)):
            below = figure.add_axes((0.11, (place + 0.08) * row, 0.86, 0.5 * row), sharex=axes)
            _trace(below, result, trace)
        shown = ", ".join((CURVES | TRACES)[name] for name in (*curves, *traces))
        return inline(figure, name, f"Learning curve of {result.model.name}: {shown} by step")


def _told(result: ModelResult, name: str) -> bool:
    """Whether a curve has the column, and it says something: a policy gradient's loss is about 0 by construction."""
    by_reward = name == "loss" and _told(result, "reward")
    return not by_reward and any(name in row for row in result.curve)


def _trace(axes: Axes, result: ModelResult, trace: str) -> None:
    """How a figure goes over the same steps, with its first and its last value."""
    rows = [row for row in result.curve if "step" in row and trace in row]
    axes.plot([row["step"] for row in rows], [row[trace] for row in rows], color=ROLES["other"], linewidth=0.8)
    ends = f"{TRACES[trace]}: {rows[0][trace]:.3g} → {rows[-1][trace]:.3g}"
    axes.set_title(ends, loc="left", pad=2, fontsize="medium", color=ROLES["muted"])
    axes.set(ylim=(min(0.0, axes.get_ylim()[0]), None), yticks=[])
    axes.tick_params(length=0, labelbottom=False)


def _candidates_panel(result: ModelResult, name: str) -> str:
    with drawing(CURVE_WIDTH, CURVE_HEIGHT) as figure:
        axes = figure.add_axes((0.11, 0.16, 0.86, 0.79))
        at, score = _series(result, "temperature", "selection")
        axes.plot(at, score, MARKERS["control"], color=ROLES["control"], markersize=5, clip_on=False)
        axes.set(ylim=(0, curve_end(result)))
        axes.set_xlim(left=min(0.0, axes.get_xlim()[0]))
        axes.tick_params(length=0)
        return inline(figure, name, f"Candidates of {result.model.name}: selection score by temperature")


def _series(result: ModelResult, x: str, y: str, start: float = 0.0) -> tuple[list[float], list[float]]:
    rows = [row for row in result.curve if x in row and y in row]
    return [start + row[x] for row in rows], [row[y] * PERCENT for row in rows]


def budget_figure(results: Results, name: str) -> str:
    """Score against FLOPs, as an `<svg>`."""
    with drawing(BUDGET_WIDTH, BUDGET_HEIGHT) as figure:
        _budget(results, figure)
        return inline(figure, name, "Mean sampled pass@1 over domains against training FLOPs")


def budget_picture(results: Results, path: Path) -> None:
    """The same as a PNG."""
    with drawing(BUDGET_WIDTH, BUDGET_HEIGHT) as figure:
        _budget(results, figure)
        save_png(figure, path)


def temperatures_picture(results: Results, path: Path) -> None:
    """The maps of self-distillation, one below the other, as a PNG."""
    sizes = [size(found) for found in results.maps]
    width = max((width for width, _ in sizes), default=BUDGET_WIDTH * INCH)
    height = sum(TITLE + height for _, height in sizes) or TITLE
    most = max((found.largest for found in results.maps), default=0.0)
    with drawing(width / INCH, height / INCH) as figure:
        top = height
        for found, (_, tall) in zip(results.maps, sizes, strict=True):
            title = f"{found.domain}, {found.base}: samples with {found.cut}"
            brackets = f"in brackets: {over_items(results.settings.confidence)}"
            above, below = ((top - TITLE + lines * LINE) / height for lines in (2, 1))
            figure.text(GAP / width, above, title, va="top", color=ROLES["ink"], fontweight="bold")
            figure.text(GAP / width, below, brackets, va="top", color=ROLES["muted"])
            draw_map(figure, found, most, top - TITLE)
            top -= TITLE + tall
        if not sizes:
            figure.text(GAP / width, 0.5, "No model was asked at two temperatures.", va="center", color=ROLES["muted"])
        save_png(figure, path)


def _budget(results: Results, figure: Figure) -> None:
    """Each student's way on the selection items; its end, and the base, on the scored items."""
    students = results.of_kind("student")
    roots = list(dict.fromkeys(result.root for result in students))
    figure.subplots_adjust(left=0.09, right=0.98, bottom=0.15, top=0.84)
    axes = figure.add_subplot()
    for root in roots:
        score = results.models[root].mean
        axes.axhline(score.value * PERCENT, color=ROLES["ink"], linewidth=1, linestyle=(0, (4, 3)))
        _point(axes, 0.0, score, ROLES["ink"], "D", root)
    places, labels = _ways(results, [result.model.name for result in students])
    for result in students:
        name = result.model.name
        colour = ROLES[SERIES[places[name] % len(SERIES)]]
        before = result.cost.total_flops - result.cost.flops
        axes.plot(*_series(result, "flops", "selection", before), color=colour, linewidth=1.2, alpha=0.7)
        _point(axes, result.cost.total_flops, result.mean, colour, "s", labels.get(name))
    below = f"total FLOPs of training, the base left out; bars: {over_items(results.settings.confidence)}"
    end = axis_end(_budget_ends(results))
    axes.set(ylim=(0, end), xlabel=below, ylabel=f"mean pass@1 (%){cut(end)}")
    axes.xaxis.set_major_formatter(EngFormatter())
    axes.tick_params(length=0)
    longest = max(map(len, [*roots, *labels.values()]), default=0)
    columns = max(1, min(LEGEND_COLUMNS, LEGEND_LETTERS // (longest + LEGEND_HANDLE)))
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=columns, borderaxespad=0.2, handletextpad=0.3)


def _budget_ends(results: Results) -> Iterator[float]:
    """Shares that the figure has to have room for."""
    for result in results.of_kind("student"):
        yield results.models[result.root].mean.high
        yield result.mean.high
        yield from (row["selection"] for row in result.curve if "selection" in row)


def _ways(results: Results, students: list[str]) -> tuple[dict[str, int], dict[str, str]]:
    """Which students are made in one way, but for the seed: each one's way, by number, and the label of its first."""
    together = {name: way.models for way in results.consolidations for name in way.models}
    ways = list(dict.fromkeys(together.get(name, (name,)) for name in students))
    labels = {way[0]: way[0] + (f" and {len(way) - 1} more" if len(way) > 1 else "") for way in ways if way}
    return {name: ways.index(together.get(name, (name,))) for name in students}, labels


def _point(axes: Axes, x: float, score: Interval, colour: str, marker: str, label: str | None) -> None:
    y = score.value * PERCENT
    ends = [[y - score.low * PERCENT], [score.high * PERCENT - y]]
    shown = {"color": colour, "marker": marker, "markersize": 6, "linestyle": "none", "clip_on": False}
    axes.errorbar([x], [y], yerr=ends, label=label, **shown)
