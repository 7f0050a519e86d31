"""What the names in a table are: how models were made, and of what, from their configs."""

from collections.abc import Iterable

from thicket.config.stages import ReportedModel
from thicket.reporting.kept import kept
from thicket.reporting.results import Cost, Results
from thicket.reporting.text import joined

MOST = 6
"""Names that are listed one by one."""


def terms(results: Results, named: Iterable[tuple[str, ReportedModel]]) -> tuple[tuple[str, str], ...]:
    """(name, what it is) for each name of a table and a model that it stands for; alike ones together."""
    found: dict[str, dict[str, None]] = {}
    for name, model in named:
        found.setdefault(_what(results, model), {})[name] = None
    return tuple((joined(list(names), MOST), what) for what, names in found.items() if what)


def _what(results: Results, model: ReportedModel) -> str:
    parts = [results.methods.get(model.method, "")]
    if model.teachers:
        parts.append(f"Teachers: {joined(model.teachers, MOST)}{_kept(results, model)}.")
    if model.kind == "student" and (cost := results.models[model.name].cost).budget_of:
        parts.append(f"Budget: {budget(cost)}.")
    return " ".join(part for part in parts if part)


def _kept(results: Results, model: ReportedModel) -> str:
    """Which of its teachers a greedy soup kept."""
    names = kept(model.teachers, results.models[model.name].curve) if model.type == "greedy_soup" else []
    return "" if not names else f"; kept: {'all' if names == model.teachers else joined(names, MOST)}"


def budget(cost: Cost) -> str:
    """Whose cost a model may spend: `the cost of opd`, `0.5 of the cost of the teachers of opd`."""
    share = "" if cost.budget_share == 1 else f"{cost.budget_share:g} of "
    return f"{share}the cost of {'' if cost.budget == 'whole' else 'the teachers of '}{cost.budget_of}"
