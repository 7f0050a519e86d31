"""What a sweep looks at: one figure of each run, and whether more or less of it is better."""

import json
import math
from pathlib import Path
from typing import Literal

from thicket.config.stages import BaseStage, EvaluateStage, SpecialistStage, Stage, StudentStage
from thicket.stages.run import Targets
from thicket.times import read_times

Direction = Literal["maximize", "minimize"]
SELECTION = "selection_pass@1"
MEASURED = ("wall_seconds", "peak_memory_bytes")
"""Figures that the machine alone knows."""
COSTS = ("flops", "tokens_generated", "tokens_trained", *MEASURED)
"""Figures of a model's making of which less is better."""


def objectives(stage: Stage) -> list[str]:
    """The figures that a run of the stage leaves: of a model's making, or of an evaluation on each domain."""
    if isinstance(stage, EvaluateStage):
        return [*(f"pass@{k}" for k in stage.evaluation.ks), "greedy"]
    if isinstance(stage, SpecialistStage) or (isinstance(stage, StudentStage) and stage.domains):
        return [SELECTION, *COSTS]
    return list(COSTS) if isinstance(stage, BaseStage | StudentStage) else []


def direction(objective: str) -> Direction:
    return "minimize" if objective in COSTS else "maximize"


def worst(objective: str) -> float:
    """What a run counts for that failed."""
    return math.inf if objective in COSTS else -math.inf


def scores_of(targets: Targets, objective: str) -> dict[str, float]:
    """Domain → the figure of a finished evaluation; nothing of a model's making."""
    path = targets.artifact / "metrics.json"
    domains = _read(path)["domains"] if path.is_file() else {}
    # A vote is one answer: of all figures it has pass@1 alone.
    return {domain: figures.get(objective, figures["pass@1"]) for domain, figures in domains.items()}


def value_of(targets: Targets, objective: str) -> float:
    """The figure of a model's making. Raises: ValueError where another machine made it, and it was measured there."""
    found = read_times(targets.times, targets.artifact) if objective in MEASURED else _read(targets.metrics)
    if objective not in found:
        raise ValueError(f"{targets.times}: does not say the {objective} of {targets.artifact}; delete it to run anew")
    return float(found[objective])


def _read(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))
