"""What a sweep looks at: one figure of each run, and whether more or less of it is better."""

import json
import math
from pathlib import Path
from typing import Literal

from thicket.config.stages import BaseStage, EvaluateStage, SpecialistStage, Stage, StudentStage
from thicket.stages.run import Targets

Direction = Literal["maximize", "minimize"]
SELECTION = "selection_pass@1"
COSTS = ("wall_seconds", "flops", "peak_memory_bytes", "tokens_generated", "tokens_trained")
"""Figures of a model's ledger of which less is better."""


def objectives(stage: Stage) -> list[str]:
    """The figures that a run of the stage leaves: of a model's making, or of an evaluation as means over domains."""
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


def value_of(targets: Targets, objective: str) -> float:
    """The figure of a finished run."""
    scores = targets.artifact / "metrics.json"
    if scores.is_file():
        domains = _read(scores)["domains"].values()
        # A vote is one answer: of all figures it has pass@1 alone.
        return math.fsum(figures.get(objective, figures["pass@1"]) for figures in domains) / len(domains)
    return float(_read(targets.metrics)[objective])


def _read(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))
