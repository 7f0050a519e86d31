"""`results.json`: the results for programs."""

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from thicket.reporting.results import ModelResult, Results

DIGITS = 6
"""Decimals, those of the evaluations' metrics."""


def to_json(results: Results, findings: str) -> dict[str, Any]:
    """The content of results.json: everything but the learning curves, which have files of their own."""
    head = {name: getattr(results, name) for name in ("experiment", "domains", "items")}
    aged = results.outdated
    models = {name: {**_model_json(one), "outdated": aged.get(name, ())} for name, one in results.models.items()}
    return plain({**head, "settings": asdict(results.settings), "findings": findings, "models": models})


def _model_json(result: ModelResult) -> dict[str, Any]:
    parts = ("cells", "mean", "mean_difference", "gain", "recovered", "cost", "answers", "origin")
    values = {name: getattr(result, name) for name in parts}
    return {**result.model.model_dump(mode="json"), "root": result.root, **values}


def plain(value: Any) -> Any:
    """The same of JSON's own types, with rounded numbers; what is not finite is null."""
    if hasattr(value, "__dataclass_fields__"):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {name: plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    if isinstance(value, float):
        return round(value, DIGITS) if math.isfinite(value) else None
    return value
