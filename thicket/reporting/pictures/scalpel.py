"""What each model gained, forgot and how far it went from its base; below, which kinds of matrix changed."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from thicket.reporting.pictures.neighbours import WIDTH, distinct, look
from thicket.reporting.pictures.rows import FULL, OPEN, decades, key, rows, zero
from thicket.reporting.svg import INCH, ROLES
from thicket.reporting.text import PERCENT

Rows = Sequence[Mapping[str, str]]
KEY, ROW, FOOT, PANEL, GAP, SIDE, LETTER = 20.0, 18.0, 46.0, 120.0, 28.0, 48.0, 5.2
"""Points: a legend or title, a model's row, room below axes, the panel of kinds, gaps (two
numbers stand there), left edge, width of a letter."""
SPREAD = 0.7
"""Of the room of a kind, the share that its models take."""
ORDER = ("embedding", "q", "k", "v", "o", "gate", "up", "down", "norm", "head", "other", "all")
"""Of the kinds."""
ALL = "all"


def picture(result: Mapping[str, Any], tables: Mapping[str, list[dict[str, str]]]) -> Figure:
    """A model has one colour and marker throughout. Intervals are those of the result."""
    models = distinct(tables["models"], "model")
    height = KEY + ROW * len(models) + FOOT + KEY + PANEL + FOOT
    figure = Figure(figsize=(WIDTH, height / INCH))
    _models(figure, height, result, tables["models"], models)
    _kinds(figure, height, tables["kinds"], models)
    return figure


def _models(figure: Figure, height: float, result: Mapping[str, Any], table: Rows, models: Sequence[str]) -> None:
    """A row for each model: gain and forgetting, KL both ways, change of the weights."""
    trained, whole, left = result["domains"][0], WIDTH * INCH, LETTER * max(map(len, models)) + GAP
    bottom, width = height - KEY - ROW * len(models), (whole - left - 3 * GAP) / 3
    lefts = [left + place * (width + GAP) for place in range(3)]
    columns = [
        figure.add_axes((one / whole, bottom / height, width / whole, ROW * len(models) / height)) for one in lefts
    ]
    scores, kl, weights = columns
    for place, axes in enumerate(columns):
        rows(axes, models, named=place == 0)
    for y, row in enumerate(table):
        of = row["model"]
        _point(scores, y, _found(result, "gain", trained, of), PERCENT, FULL)
        _point(scores, y, _found(result, "forgetting", ALL, of), PERCENT, OPEN)
        _point(kl, y, _found(result, "kl_model_base", trained, of), 1.0, FULL)
        _point(kl, y, _found(result, "kl_base_model", trained, of), 1.0, OPEN)
        weights.plot(float(row["weight_change"]) * PERCENT, y, clip_on=False, **FULL, **look(y))
    zero(scores)
    scores.set_xlabel("change of the score (%)")
    key(scores, "gain", "loss elsewhere")
    kl.set_xlabel(f"KL on {trained}\n(nats a token)")
    key(kl, "model ‖ base", "base ‖ model")
    decades(kl, "x", [float(row[name]) for row in table for name in ("kl_model_base", "kl_base_model")])
    weights.set_xlabel("change of the weights (%)")
    decades(weights, "x", [float(row["weight_change"]) * PERCENT for row in table])


def _found(result: Mapping[str, Any], name: str, domain: str, of: str) -> Mapping[str, Any] | None:
    """A statistic; None where it was not measured."""
    wanted = (name, domain, of)
    found = [one for one in result["statistics"] if (one["name"], one["domain"], one["of"]) == wanted]
    return found[0] if found and found[0]["value"] is not None else None


def _point(axes: Axes, y: int, one: Mapping[str, Any] | None, scale: float, form: Mapping[str, Any]) -> None:
    if one is not None:
        style = look(y)
        axes.hlines(y, one["low"] * scale, one["high"] * scale, color=style["color"], linewidth=2.5, alpha=0.45)
        axes.plot(one["value"] * scale, y, clip_on=False, **form, **style)


def _kinds(figure: Figure, height: float, table: Rows, models: Sequence[str]) -> None:
    """The relative change of every kind of matrix, side by side for the models."""
    whole = WIDTH * INCH
    axes = figure.add_axes((SIDE / whole, FOOT / height, (whole - SIDE - GAP) / whole, PANEL / height))
    kinds = [kind for kind in ORDER if kind in distinct(table, "kind")]
    known = [row for row in table if row["relative_norm"]]
    for row in known:
        number = models.index(row["model"])
        x = kinds.index(row["kind"]) + SPREAD * ((number + 0.5) / len(models) - 0.5)
        axes.plot(x, float(row["relative_norm"]) * PERCENT, clip_on=False, **FULL, **look(number))
    axes.set(xticks=range(len(kinds)), xticklabels=kinds, xlim=(-0.5, len(kinds) - 0.5), ylabel="change (%)")
    axes.set_title(
        "‖change‖ / ‖weights of the base‖, by kind", fontsize="medium", color=ROLES["ink"], loc="left", pad=4
    )
    axes.grid(axis="x", visible=False)
    axes.tick_params(length=0)
    decades(axes, "y", [float(row["relative_norm"]) * PERCENT for row in known])
