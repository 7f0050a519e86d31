"""Rough figures before anything runs: time, memory and disk of each stage, from its config alone."""

from dataclasses import dataclass

from thicket.config.base import PretrainedBase
from thicket.config.method import OnPolicy
from thicket.config.resolve import Resolved
from thicket.config.stages import BaseStage, EvaluateStage, SpecialistStage, StudentStage

START_SECONDS = 11.0
"""Importing torch, transformers and Lightning, and loading a small model, on two cores (docs/log.md, 2026-11-23)."""
LIGHT_SECONDS = 1.0
"""A stage without torch."""
FLOPS_PER_SECOND = 5e10
"""What a small model gets out of two cores over a whole training step (docs/log.md, 2026-11-23)."""
PROCESS_BYTES = 700 * 2**20
"""Resident memory of a process that has imported torch, transformers and Lightning."""
BYTES_A_WEIGHT = 4


@dataclass(frozen=True)
class Estimate:
    """What a stage is expected to need; None where the config can't tell."""

    seconds: float | None
    memory_bytes: float | None
    disk_bytes: float | None


class Estimator:
    """Estimates stages in the order of the DAG: a model's size is known from its base."""

    def __init__(self) -> None:
        self.parameters: dict[str, int | None] = {}
        self.flops: dict[str, float] = {}

    def estimate(self, resolved: Resolved) -> Estimate:
        stage = resolved.stage
        if isinstance(stage, BaseStage):
            return self._base(stage)
        if isinstance(stage, SpecialistStage | StudentStage):
            return self._trained(stage)
        if isinstance(stage, EvaluateStage):
            size = self.parameters[stage.name]
            tokens = sum(
                (stage.evaluation.samples + 1) * (domain.window.prompt + domain.window.response) * 128
                for domain in stage.domains
            )
            return self._figures(size, None if size is None else 2.0 * size * tokens, copies=1, keeps=0)
        return Estimate(LIGHT_SECONDS, None, None)

    def _base(self, stage: BaseStage) -> Estimate:
        base = stage.base
        if not isinstance(base, PretrainedBase):
            self.parameters[stage.name] = None
            return Estimate(None, None, None)
        shape = base.architecture
        size = shape.layers * (4 * shape.width**2 + 3 * shape.width * shape.mlp_width)
        self.parameters[stage.name] = size
        tokens = base.steps * base.batch * min(shape.context, base.corpus.problems * 16)
        return self._figures(size, 6.0 * size * tokens, copies=4)

    def _trained(self, stage: SpecialistStage | StudentStage) -> Estimate:
        size = self.parameters[stage.name] = self.parameters.get(stage.base)
        method = stage.method
        if not isinstance(method, OnPolicy):
            return self._figures(size, 0.0, copies=len(stage.teachers) if isinstance(stage, StudentStage) else 1)
        domains = [stage.domain] if isinstance(stage, SpecialistStage) else stage.domains
        length = sum(domain.window.prompt + domain.window.response for domain in domains) / max(1, len(domains))
        steps, teachers = getattr(method, "steps", None), getattr(stage, "teachers", [])
        flops = None if size is None or steps is None else 10.0 * size * length * steps * method.prompts * method.group
        if flops is None and isinstance(stage, StudentStage) and stage.budget_of:
            flops = self.flops.get(stage.budget_of)
        self.flops[stage.name] = (flops or 0.0) + sum(self.flops.get(teacher.name, 0.0) for teacher in teachers)
        return self._figures(size, flops, copies=4 + len(teachers))

    def _figures(self, size: int | None, flops: float | None, copies: int, keeps: int = 1) -> Estimate:
        """`copies` of the weights in memory (weights, gradient, two moments; teachers), `keeps` of them on disk."""
        if size is None or flops is None:
            return Estimate(None, None, None)
        weights = size * BYTES_A_WEIGHT
        return Estimate(START_SECONDS + flops / FLOPS_PER_SECOND, PROCESS_BYTES + copies * weights, keeps * weights)
