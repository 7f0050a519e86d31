"""Code as a dependency: which modules of thicket a stage runs, and a hash of each.

A stage's modules are those that its own modules import at the top of the file, and theirs in turn. An import inside a
function is a choice by `type`; the tables below name those, so that editing one method reruns what uses it and nothing
else. Comments, docstrings and blank lines do not count. A test holds the tables to the imports that there are.
"""

from collections.abc import Iterable

from thicket.config.base import PretrainedBase
from thicket.config.domain import ScoredDomain
from thicket.config.merging import Chosen, Merging
from thicket.config.run import VllmSampling
from thicket.config.schema import tags
from thicket.config.stages import (
    AnalyzeStage,
    BaseStage,
    ClaimsStage,
    Code,
    DataStage,
    EvaluateStage,
    SpecialistStage,
    Stage,
    StudentStage,
)
from thicket.domains.registry import module_of
from thicket.plan.source import closure, hash_of

PROVENANCE = "thicket.stages.provenance"
"""Writes a part of every model's folder."""
BASES = {
    "pretrain": (
        "thicket.models.characters",
        "thicket.models.folder",
        "thicket.models.scratch",
        "thicket.training.loop",
        "thicket.training.pretrain",
    ),
    "gguf": ("thicket.models.folder", "thicket.models.gguf"),
    "folder": ("thicket.models.elsewhere", "thicket.models.folder"),
    "hub": ("thicket.models.elsewhere", "thicket.models.folder"),
}
SPECIALISTS = {
    **dict.fromkeys(("grpo", "simplerl", "dapo", "dr_grpo", "gspo", "ppo"), "thicket.stages.reinforce"),
    **dict.fromkeys(("sft", "rft", "ssd"), "thicket.stages.imitate"),
    **dict.fromkeys(("randopt", "es", "member"), "thicket.stages.search"),
    **dict.fromkeys(("self_consistency", "best_prompt"), "thicket.stages.control"),
}
STUDENTS = {
    "opd": "thicket.stages.distil",
    "mixed": "thicket.stages.mix",
    "rft": "thicket.stages.imitate_teachers",
    "ensemble": "thicket.stages.pool",
    **dict.fromkeys(tags(Merging), "thicket.stages.merge"),
}
KERNELS = {
    "thicket.ops.chunks": "thicket.ops.kernels.divergence",
    "thicket.ops.from_hidden": "thicket.ops.kernels.reverse_kl",
    "thicket.ops.product_sum": "thicket.ops.kernels.long_sum",
    "thicket.models.perturb": "thicket.ops.kernels.noise",
    "thicket.models.fused": "thicket.ops.kernels.elementwise_backward",
    "thicket.sampling.decode": "thicket.ops.kernels.draw",
    "thicket.sampling.slots": "thicket.ops.kernels.attend",
}
"""Module → what it runs on a GPU."""
CHOICE = "thicket.stages.choice"
"""What a merge runs that has a choice, and so a domain to choose on."""
TRACELESS = {
    "thicket.stages.run": "chooses a stage's function and names its places",
    "thicket.stages.several": "starts and ends the processes that share a stage",
    "thicket.stages.launch": "says what became of a stage",
    "thicket.stages.machine": "says what differs between equal runs",
    "thicket.progress": "shows how far a stage is",
    "thicket.loggers": "tells others how far a stage is",
    "thicket.standing": "tells other processes how far a stage is, and keeps what it prints",
    "thicket.signals": "ends a run before its time",
}
"""Modules that stages run but whose edits leave artifacts as they are, and why."""


def code_of(stage: Stage) -> Code:
    """Module → hash of its source, for every module that may change what the stage makes."""
    return {name: hash_of(name) for name in sorted(modules(stage))}


def modules(stage: Stage) -> set[str]:
    """The modules that may change what the stage makes."""
    plain = closure(roots(stage))
    return closure([*plain, *(kernel for name, kernel in KERNELS.items() if name in plain)]) - TRACELESS.keys()


def roots(stage: Stage) -> tuple[str, ...]:
    """The modules that a stage's config chooses."""
    if isinstance(stage, DataStage):
        return "thicket.stages.data", module_of("sources", stage.domain.source.type)
    if isinstance(stage, BaseStage):
        corpus = ("thicket.domains.corpus",) if isinstance(stage.base, PretrainedBase) else ()
        return "thicket.stages.base", PROVENANCE, *BASES[stage.base.type], *corpus
    if isinstance(stage, SpecialistStage):
        made_by = SPECIALISTS[stage.method.type], f"thicket.methods.{stage.method.type}"
        return "thicket.stages.specialist", PROVENANCE, *made_by, *_sampler(stage), *_verifiers([stage.domain])
    if isinstance(stage, StudentStage):
        made_by = STUDENTS[stage.method.type], f"thicket.methods.{stage.method.type}"
        chosen = (CHOICE,) if isinstance(stage.method, Chosen) and stage.domains else ()
        return "thicket.stages.student", PROVENANCE, *made_by, *chosen, *_sampler(stage), *_verifiers(stage.domains)
    if isinstance(stage, AnalyzeStage):
        looked = f"thicket.analysis.{stage.analysis.type}", f"thicket.reporting.pictures.{stage.analysis.type}"
        return "thicket.stages.analyze", *looked, *_verifiers(stage.domains)
    if isinstance(stage, ClaimsStage):
        return ("thicket.reporting.claims.page",)
    if isinstance(stage, EvaluateStage):
        return "thicket.stages.evaluate", *_sampler(stage), *_verifiers(stage.domains)
    return ("thicket.reporting.report",)


def _sampler(stage: SpecialistStage | StudentStage | EvaluateStage) -> tuple[str, ...]:
    """What a stage samples with beside thicket's own loop; an analysis uses no other."""
    return ("thicket.sampling.vllm",) if isinstance(stage.sampler, VllmSampling) else ()


def _verifiers(domains: Iterable[ScoredDomain]) -> list[str]:
    return [module_of("verifiers", domain.verifier.type) for domain in domains]
