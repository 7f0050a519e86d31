"""From scores of items to the files of an evaluation."""

import csv
from pathlib import Path
from typing import Any

from thicket.config.run import Evaluation
from thicket.evaluation.evaluator import ItemScore
from thicket.statistics.intervals import mean_interval
from thicket.statistics.pass_at_k import pass_at_k

Scores = dict[str, list[ItemScore]]
ITEM_COLUMNS = ("domain", "item", "level", "samples", "correct", "greedy", "length", "truncated")
DIGITS = 6
"""Decimals of the metrics file."""


def summary(scores: Scores, settings: Evaluation, seed: int) -> dict[str, Any]:
    """The figures of every domain: pass@k and greedy with intervals over items, length, truncation, by level."""
    shown = settings.model_dump(
        include={"samples", "ks", "temperature", "top_k", "top_p", "resamples", "confidence", "split"}
    )
    return {
        "settings": shown,
        "domains": {name: _domain(rows, settings, seed) for name, rows in scores.items()},
    }


def _domain(rows: list[ItemScore], settings: Evaluation, seed: int) -> dict[str, Any]:
    samples, correct = [row.samples for row in rows], [row.correct for row in rows]
    figures: dict[str, Any] = {}
    for k in settings.ks:
        figures |= _with_interval(f"pass@{k}", pass_at_k(samples, correct, k), settings, seed)
    figures |= _with_interval("greedy", [row.greedy for row in rows], settings, seed)
    figures["length"] = _rounded(sum(row.length for row in rows) / len(rows))
    figures["truncated"] = _rounded(sum(row.truncated for row in rows) / len(rows))
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
