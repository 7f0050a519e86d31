"""Tables of what models cost and what the cost bought."""

from thicket.reporting.results import Cost, ModelResult, Results
from thicket.reporting.tables import Entry, Row, Table, brackets, marked
from thicket.reporting.terms import budget, terms
from thicket.reporting.text import (
    NONE,
    PERCENT,
    duration,
    percent,
    percent_interval,
    points,
    points_interval,
    si,
)
from thicket.statistics.intervals import Interval
from thicket.times import UNKNOWN

SHORT = 12
"""Hexadecimal digits of a hash that are shown; results.json has them all."""
STUDENTS_NOTE = (
    "Means are over the domains. Total FLOPs: of its training and that of all models that it rests on, the base left "
    "out. A share is of the gain of the student's own teachers, or of those of the student whose cost it may spend; "
    "students of other teachers have shares of other gains: score and gain alone rank them."
)


def students(results: Results) -> Table:
    """The students side by side: score, gain, share of the specialists' gain, cost."""
    rows = [
        Row(
            result.model,
            (
                Entry(percent(result.mean.value), percent_interval(result.mean)),
                _gain(result),
                _recovered(result),
                Entry(si(result.cost.total_flops)),
            ),
        )
        for result in results.of_kind("student")
    ]
    head = ("mean pass@1, %", "mean gain, points", "its own specialists' gain recovered, %", "total FLOPs")
    told = {name for way in results.consolidations for name in way.models}  # at the table of ways over their seeds
    named = [(row.name, row.model) for row in rows if row.name not in told]
    note = f"{STUDENTS_NOTE} {brackets(results, signs=True)}"
    return Table("Students", head, tuple(rows), note, terms(results, named))


def ledger(results: Results) -> Table:
    """What each model's own making took."""
    head = ("steps", "tokens generated", "tokens trained", "FLOPs", "wall time", "peak memory")
    rows = [Row(result.model, _spent(result.cost)) for result in results.models.values()]
    note = (
        "FLOPs: 2 for each parameter and token that is read or generated, 6 for each that is trained on. A run ends "
        "after its steps; one with a budget, when that is spent. Wall time and memory are the machine's that made the "
        f"model, and {UNKNOWN} to any other."
    )
    return Table("What each model took", head, tuple(rows), note)


def prices(results: Results) -> Table:
    """What a point of gain cost, with and without the models that it rests on."""
    head = ("points gained", "own FLOPs", "own FLOPs a point", "total FLOPs", "total FLOPs a point")
    rows = [
        Row(
            result.model,
            (
                _gain(result),
                Entry(si(result.cost.flops)),
                Entry(_price(result.cost.flops, result.gain)),
                Entry(si(result.cost.total_flops)),
                Entry(_price(result.cost.total_flops, result.gain)),
            ),
        )
        for result in results.models.values()
        if result.model.kind != "base"
    ]
    note = (
        "A specialist's points are those on its own domain, a student's the mean over all domains, against the base. "
        "The total counts all models that one rests on, its teachers and what it started from, the base left out. "
        f"{NONE}: nothing was spent, or no point gained. {brackets(results, signs=True)}"
    )
    return Table("Cost of a percentage point", head, tuple(rows), note)


def origins(results: Results) -> Table:
    """Which config, weights and commit stand behind each model."""
    head = ("seed", "config", "weights", "commit", "device")
    rows = [
        Row(
            result.model,
            (
                Entry(str(result.origin.seed)),
                Entry(result.origin.config_hash[:SHORT]),
                Entry(result.origin.weights[:SHORT]),
                Entry(_short_commit(result.origin.commit) if result.origin.device else UNKNOWN),
                Entry(result.origin.device or UNKNOWN),
            ),
        )
        for result in results.models.values()
    ]
    note = "The first digits of SHA-256 hashes and of the project's commit; a commit with + had changes on top."
    return Table("Origin of the models", head, tuple(rows), note)


def _spent(cost: Cost) -> tuple[Entry, ...]:
    allowed = f"budget {si(cost.budget_flops, 'FLOP')}, {budget(cost)}" if cost.budget_flops is not None else ""
    return (
        Entry(str(cost.steps), allowed),
        Entry(si(cost.tokens_generated)),
        Entry(si(cost.tokens_trained)),
        Entry(si(cost.flops)),
        Entry(UNKNOWN if cost.wall_seconds is None else duration(cost.wall_seconds)),
        Entry(UNKNOWN if cost.peak_memory_bytes is None else si(cost.peak_memory_bytes, "B")),
    )


def _gain(result: ModelResult) -> Entry:
    gain = result.gain
    return Entry(points(gain.value), points_interval(gain), marked(gain)) if gain else Entry(NONE)


def _recovered(result: ModelResult) -> Entry:
    share = result.recovered.recovery.share if result.recovered else None
    return Entry(percent(share.value), percent_interval(share)) if share else Entry(NONE)


def _price(flops: float, gain: Interval | None) -> str:
    return si(flops / (gain.value * PERCENT)) if gain and gain.value > 0 and flops > 0 else NONE


def _short_commit(commit: str | None) -> str:
    return commit[:SHORT] + ("+" if commit.endswith("+") else "") if commit else NONE
