"""From scores of items to the files of an evaluation."""

import csv
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from thicket.config.run import Evaluation
from thicket.evaluation.scores import ItemScore
from thicket.evaluation.way import Way
from thicket.statistics.intervals import mean_interval
from thicket.statistics.pass_at_k import pass_at_k

Scores = dict[str, list[ItemScore]]
ITEM_COLUMNS = ("domain", *(column.name for column in fields(ItemScore)))
DIGITS = 6
"""Decimals of the metrics file."""


def summary(scores: Scores, settings: Evaluation, seed: int, way: Way, flops_a_token: float) -> dict[str, Any]:
    """The figures of every domain: pass@k and greedy with intervals over items, length, truncation, by level.

    Beside them what an answer takes: responses (`calls`), prompt tokens that are read, tokens that are decoded, FLOPs.
    A pass@k of more answers than there are, and a greedy score that nobody asked for, are left out.
    """
    shown = settings.model_dump(
        include={"samples", "ks", "temperature", "top_k", "top_p", "resamples", "confidence", "split"}
    )
    return {
        "settings": shown,
        "answering": {
            "members": len(way.members),
            "pooled": len(way.shares),
            "votes": way.votes,
            "temperature": way.decoding.temperature,
            "top_k": way.decoding.top_k,
            "top_p": way.decoding.top_p,
            "template": way.template,
        },
        "domains": {name: _domain(rows, settings, seed, flops_a_token) for name, rows in scores.items()},
    }


def _domain(rows: list[ItemScore], settings: Evaluation, seed: int, flops_a_token: float) -> dict[str, Any]:
    # In the order in which whoever reads items.csv has them: one mean has one interval then, wherever it is made.
    rows = sorted(rows, key=lambda row: row.item)
    samples, correct = [row.samples for row in rows], [row.correct for row in rows]
    figures: dict[str, Any] = {}
    for k in settings.ks:
        if k <= min(samples):
            figures |= _with_interval(f"pass@{k}", pass_at_k(samples, correct, k), settings, seed)
    greedy = [row.greedy for row in rows if row.greedy is not None]
    if greedy:
        figures |= _with_interval("greedy", greedy, settings, seed)
    figures["length"] = _mean([row.length for row in rows])
    figures["truncated"] = _mean([row.truncated for row in rows])
    figures["calls"] = _mean([row.calls for row in rows])
    figures["prompt"] = _mean([row.prompt for row in rows])
    figures["tokens"] = _mean([row.calls * row.length for row in rows])
    figures["flops"] = _mean([flops_a_token * (row.prompt + row.calls * row.length) for row in rows])
    figures["items"] = len(rows)
    figures["level"] = {
        str(level): _level([row for row in rows if row.level == level], settings, seed)
        for level in sorted({row.level for row in rows})
    }
    return figures


def _level(rows: list[ItemScore], settings: Evaluation, seed: int) -> dict[str, Any]:
    shares = [row.correct / row.samples for row in rows]
    return {**_with_interval("pass@1", shares, settings, seed), "items": len(rows)}


def _with_interval(name: str, values_N: Any, settings: Evaluation, seed: int) -> dict[str, float]:
    interval = mean_interval(values_N, settings.resamples, settings.confidence, seed)
    return {
        name: _rounded(interval.value),
        f"{name}_low": _rounded(interval.low),
        f"{name}_high": _rounded(interval.high),
    }


def _mean(values: Sequence[float]) -> float:
    return _rounded(sum(values) / len(values))


def _rounded(value: float) -> float:
    return round(float(value), DIGITS)


def write_items_csv(path: Path, scores: Scores) -> None:
    """A row an item: what paired comparisons are made from."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(ITEM_COLUMNS)
        for domain, rows in scores.items():
            for row in rows:
                writer.writerow([domain, *(getattr(row, column) for column in ITEM_COLUMNS[1:])])


def write_scores_csv(path: Path, model: str, metrics: dict[str, Any]) -> None:
    """A row a domain and figure, for `dvc plots`."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("model", "domain", "value", "low", "high"))
        for domain, figures in metrics["domains"].items():
            writer.writerow((model, domain, figures["pass@1"], figures["pass@1_low"], figures["pass@1_high"]))
