"""Rough figures before anything runs: time, memory and disk of each stage, from the configs alone.

FLOPs are counted as the ledger counts them; lengths are those of the windows, so that the figures err upwards.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from thicket.config.analysis import Neighbours
from thicket.config.base import Corpus, PretrainedBase
from thicket.config.domain import ScoredDomain
from thicket.config.imitation import Imitation
from thicket.config.merging import Chosen, Ensemble
from thicket.config.on_policy import OnPolicy, Trained
from thicket.config.policy_gradient import Mixed, PolicyGradient
from thicket.config.resolve import Resolved
from thicket.config.search import WEIGHTLESS, Randopt, Search, SelfConsistency
from thicket.config.stages import (
    AnalyzeStage,
    BaseStage,
    DataStage,
    EvaluateStage,
    SpecialistStage,
    StudentStage,
)
from thicket.domains.sources.procedural import longest_question
from thicket.models.flops import BACKWARD, FORWARD
from thicket.plan.flops import analysis_flops, choice_flops, critics, imitation_flops, rollout_flops, search_flops
from thicket.plan.shapes import Shape, fresh_shape

START_SECONDS = 2.0
"""Of a stage whose libraries are loaded (`thicket.warm`), with a small model, on two cores."""
LIGHT_SECONDS = 1.5
"""A stage without torch."""
LIGHT_BYTES = 100 * 2**20
"""Resident memory of such a stage, at most."""
REPORT_BYTES = 2**18
"""A page of figures for a dozen models."""
FOUND_BYTES = 2**18
"""An analysis' tables and pictures."""
FLOPS_PER_SECOND = 5e10
"""What a small model gets out of two cores over a whole training step."""
PROCESS_BYTES = 700 * 2**20
"""Resident memory of a process that has imported torch, transformers and Lightning."""
WEIGHT_BYTES = 4
"""float32."""
TRAINING_COPIES = 4
"""Of the weights: themselves, the gradient, and AdamW's two moments."""
LOGIT_COPIES = 3
"""Of a micro-batch's logits: themselves, their log-softmax, and its gradient."""
ITEM_BYTES = 160
"""A line of a data stage, beside its prompt; or of an evaluation's items.csv."""


@dataclass(frozen=True)
class Estimate:
    """What a stage is expected to need; None where the config can't tell."""

    seconds: float | None = None
    memory_bytes: float | None = None
    disk_bytes: float | None = None


class Estimator:
    """Estimates stages in the order of the DAG: each needs figures of those before it."""

    def __init__(self, saved: Callable[[str], Shape | None] = lambda name: None):
        """`saved`: the shape of a base that is there already, for those that no config describes."""
        self.saved = saved
        self.shapes: dict[str, Shape | None] = {}
        self.costs: dict[str, dict[str, float] | None] = {}
        """Model → FLOPs of every training that it rests on, and its own; as in provenance.json."""
        self.items: dict[str, int] = {}
        """Domain → test items."""
        self.votes: dict[str, tuple[int, int]] = {}
        """Model that answers by a vote → responses an answer, and times that it reads the prompt."""
        self.together: dict[str, int] = {}
        """Model → models that choose each of its tokens together."""
        self.banks: set[tuple[object, ...]] = set()
        """Of perturbations, which are scored once for all analyses that read them."""
        self.train: dict[str, int] = {}
        self.selection: dict[str, int] = {}

    def estimate(self, resolved: Resolved) -> Estimate:
        """What the stage needs."""
        stage = resolved.stage
        if isinstance(stage, DataStage):
            splits = stage.domain.splits
            self.items[stage.name], self.train[stage.name] = splits.test, splits.train
            self.selection[stage.name] = splits.selection
            items = splits.train + splits.selection + splits.test
            return Estimate(LIGHT_SECONDS, LIGHT_BYTES, ITEM_BYTES * items)
        if isinstance(stage, BaseStage):
            return self._base(stage)
        if isinstance(stage, SpecialistStage | StudentStage):
            return self._made(stage)
        if isinstance(stage, AnalyzeStage):
            return self._analyze(stage)
        if isinstance(stage, EvaluateStage):
            return self._evaluate(stage)
        return Estimate(LIGHT_SECONDS, LIGHT_BYTES, REPORT_BYTES)

    def _base(self, stage: BaseStage) -> Estimate:
        base = stage.base
        self.costs[stage.name] = {}
        if not isinstance(base, PretrainedBase):
            shape = self.shapes[stage.name] = self.saved(stage.name)
            return _figures(shape, 0.0, copies=1)
        shape = self.shapes[stage.name] = fresh_shape(base.architecture)
        length = min(base.architecture.context, document_length(base.corpus))
        flops = (FORWARD + BACKWARD) * shape.active * base.steps * base.batch * length
        return _figures(shape, flops, TRAINING_COPIES, logits=base.batch * length)

    def _made(self, stage: SpecialistStage | StudentStage) -> Estimate:
        shape = self.shapes[stage.name] = self.shapes[stage.base]
        method, teachers = stage.method, stage.teachers if isinstance(stage, StudentStage) else []
        parents = [self.costs[name] for name in [stage.base, *(teacher.name for teacher in teachers)]]
        domains = [stage.domain] if isinstance(stage, SpecialistStage) else stage.domains
        trained = isinstance(method, Trained)
        if isinstance(method, Randopt):
            self.votes[stage.name] = method.members, method.members
        elif isinstance(method, SelfConsistency):
            self.votes[stage.name] = method.votes, 1
        elif isinstance(method, Ensemble):
            self.together[stage.name] = len(teachers)
        # A merge reads its teachers a tensor at a time, into a model; other teachers of one architecture take turns.
        frozen = min(1, len(teachers))
        if isinstance(method, PolicyGradient):
            frozen += (method.start_readings > 0) + (method.old_readings > 0)
        spends = isinstance(method, Trained | Search) or (isinstance(method, Chosen) and domains)
        flops = self._flops(stage, shape, domains, len(teachers)) if spends else 0.0
        self.costs[stage.name] = _together([*parents, None if flops is None else {stage.name: flops}])
        copies = frozen + (TRAINING_COPIES * (1 + critics(method)) if trained else 1)
        logits = self._logits(method, domains) if trained else 0.0
        disk = 0.0 if isinstance(method, WEIGHTLESS | Ensemble) else None
        return _figures(shape, flops, copies, logits, disk)

    def _flops(
        self,
        stage: SpecialistStage | StudentStage,
        shape: Shape | None,
        domains: Sequence[ScoredDomain],
        teachers: int,
    ) -> float | None:
        """FLOPs of the making of a model itself, as far as its budget allows."""
        method = stage.method
        if isinstance(stage, StudentStage) and isinstance(method, Mixed) and stage.budget_of is not None:
            cost = self.costs[stage.budget_of]
            return None if cost is None else method.spendable(cost, stage.budget_of)
        if shape is None:
            return None
        prompt = sum(domain.window.prompt for domain in domains) / len(domains)
        response = sum(domain.window.response for domain in domains) / len(domains)
        taught = stage.teachers if isinstance(stage, StudentStage) else []
        voices = sum(self._members(teacher.name) for teacher in taught)
        if isinstance(method, OnPolicy):
            steps: int = getattr(method, "steps")  # noqa: B009  (all but mixed RL, which has a budget)
            judges = voices if getattr(method, "routing", "") == "all" else voices / len(domains)
            flops = steps * rollout_flops(method, prompt, response, judges)
        elif isinstance(method, Imitation):
            by_teachers = [(self.train[t.domain or ""], self._members(t.name)) for t in taught if t.weight > 0]
            asked = by_teachers or [(self.train[domains[0].name], self._members(stage.base))]
            flops = imitation_flops(method, prompt, response, asked)
        elif isinstance(method, Search):
            flops = search_flops(method, prompt, response, self.selection[domains[0].name])
        elif isinstance(method, Chosen):
            items = sum(self.selection[domain.name] for domain in domains)
            return shape.active * choice_flops(method, prompt, response, teachers, items)
        else:
            return 0.0
        return min(shape.active * flops, method.flops or math.inf)

    def _members(self, model: str) -> int:
        """Models that a start samples from: an ensemble's members, or itself."""
        return self.votes.get(model, (1, 1))[1]

    def _logits(self, method: object, domains: Sequence[ScoredDomain]) -> float:
        """Positions over the vocabulary that a training holds in memory."""
        rows = method.batch if isinstance(method, Imitation) else 0
        rows = method.prompts * method.group if isinstance(method, OnPolicy) else rows
        most = method.micro_batch if isinstance(method, Trained) else 0
        return min(most, rows) * max(domain.window.response for domain in domains)

    def _evaluate(self, stage: EvaluateStage) -> Estimate:
        shape, votes = self.shapes[stage.name], self.votes.get(stage.name)
        # Else samples, and a greedy answer besides; either reads the prompt.
        rows, reads = votes or (stage.evaluation.samples + 1, 2)
        tokens = sum(self.items[d.name] * (reads * d.window.prompt + rows * d.window.response) for d in stage.domains)
        models = self.together.get(stage.name, 1)
        flops = None if shape is None else FORWARD * shape.active * models * tokens
        disk = ITEM_BYTES * sum(self.items[domain.name] for domain in stage.domains)
        found = _figures(shape, flops, copies=models, logits=stage.sampler.batch)
        return Estimate(found.seconds, found.memory_bytes, disk)

    def _analyze(self, stage: AnalyzeStage) -> Estimate:
        shapes = [self.shapes.get(model.name) for model in stage.models]
        if None in shapes:
            return Estimate()
        shape = max((shape for shape in shapes if shape), key=lambda shape: shape.active)
        analysis = stage.analysis
        there = self.items if analysis.split == "test" else self.selection
        if isinstance(analysis, Neighbours):
            domains = tuple(domain.name for domain in stage.domains)
            read = (analysis.split, analysis.items, analysis.perturbations, *analysis.sigmas)
            bank = (stage.models[0].name, stage.seed, domains, *read)
            if bank in self.banks:
                analysis = analysis.model_copy(update={"sigmas": []})
            self.banks.add(bank)
        flops = 0.0
        for domain in stage.domains:
            items, window = min(analysis.items, there[domain.name]), domain.window
            flops += items * analysis_flops(analysis, len(shapes), window.prompt, window.response)
        return _figures(shape, shape.active * flops, copies=len(shapes), logits=stage.sampler.batch, disk=FOUND_BYTES)


def total(estimates: list[Estimate]) -> Estimate:
    """One stage after the other: the sum of the times and of the disk, the most of the memory."""
    return Estimate(
        sum(estimate.seconds or 0.0 for estimate in estimates),
        max((estimate.memory_bytes or 0.0 for estimate in estimates), default=0.0),
        sum(estimate.disk_bytes or 0.0 for estimate in estimates),
    )


def document_length(corpus: Corpus) -> int:
    """Characters of the longest document: an answer is at most as long as its question, and ends in a line break."""
    longest = max(longest_question(task) for task in corpus.tasks)
    asked = len(corpus.template.replace("{question}", "")) + longest
    return 1 + corpus.problems * (asked + longest + 1)


def _together(costs: list[dict[str, float] | None]) -> dict[str, float] | None:
    """All trainings, each once; None where one of them is not known."""
    merged: dict[str, float] = {}
    for cost in costs:
        if cost is None:
            return None
        merged |= cost
    return merged


def _figures(
    shape: Shape | None, flops: float | None, copies: int, logits: float = 0.0, disk: float | None = None
) -> Estimate:
    """`copies` of the weights and `logits` positions over the vocabulary in memory; `disk`, if not the weights' own."""
    if shape is None or flops is None:
        return Estimate()
    weights = WEIGHT_BYTES * shape.parameters
    memory = PROCESS_BYTES + copies * weights + LOGIT_COPIES * WEIGHT_BYTES * logits * shape.vocabulary
    return Estimate(START_SECONDS + flops / FLOPS_PER_SECOND, memory, weights if disk is None else disk)
