"""Code as a dependency: which modules of thicket a stage runs, and a hash of each.

A stage's modules are those that its own modules import at the top of the file, and theirs in turn. An import inside a
function is a choice by `type`; the tables below name those, so that editing one method reruns what uses it and nothing
else. Comments, docstrings and blank lines do not count. A test holds the tables to the imports that there are.
"""

from collections.abc import Iterable, Iterator

from thicket.config import plugins
from thicket.config.base import PretrainedBase
from thicket.config.domain import ScoredDomain
from thicket.config.fields import Strict
from thicket.config.imitation import Imitation
from thicket.config.merging import Chosen, Merging
from thicket.config.plugins import is_plugin, module_of
from thicket.config.policy_gradient import PolicyGradient
from thicket.config.run import VllmSampling
from thicket.config.schema import tags
from thicket.config.search import Control
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
from thicket.domains.registry import SOURCES, VERIFIERS
from thicket.plan.plugin_code import check_plugin
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
SPECIALISTS: dict[type, str] = {
    PolicyGradient: "thicket.stages.reinforce",
    Imitation: "thicket.stages.imitate",
    Control: "thicket.stages.control",
    object: "thicket.stages.search",
}
"""Family of methods → what makes a specialist by one; the first that fits, as `thicket.stages.specialist` has it."""
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
    "thicket.ops.half_products": "thicket.ops.kernels.halve",
    "thicket.ops.product_sum": "thicket.ops.kernels.long_sum",
    "thicket.ops.token_divergence": "thicket.ops.kernels.token_divergence",
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
    "thicket.stages.overdue": "ends a run that does not listen",
    "thicket.stages.tried": "has a verifier judge before a stage begins, and drops what it says",
    "thicket.stages.launch": "says what became of a stage",
    "thicket.stages.machine": "says what differs between equal runs",
    "thicket.sampling.faithful": "refuses a model from elsewhere, and changes none",
    "thicket.output": "lets work go on that nobody reads the lines of",
    "thicket.progress": "shows how far a stage is",
    "thicket.loggers": "tells others how far a stage is",
    "thicket.standing": "tells other processes how far a stage is, and keeps what it prints",
    "thicket.times": "says when and how long a stage ran, beside what it makes",
    "thicket.signals": "ends a run before its time",
}
"""Modules that stages run but whose edits leave artifacts as they are, and why."""


def code_of(stage: Stage) -> Code:
    """Module → hash of its source, for every module that may change what the stage makes.

    Raises: ConfigError where a plug-in's code is no code, or lacks what its option needs.
    """
    for group, option in _options(stage):
        check_plugin(group, option)
    return {name: hash_of(name) for name in sorted(modules(stage))}


def brought_along(stage: Stage) -> bool:
    """Whether a stage runs a plug-in's code."""
    return any(is_plugin(option) for _, option in _options(stage))


def _options(stage: Stage) -> Iterator[tuple[str, Strict]]:
    """The options of a stage that a plug-in may have brought along, each with the group of its entry point."""
    if isinstance(stage, DataStage):
        yield plugins.SOURCES, stage.domain.source
    if isinstance(stage, SpecialistStage):
        yield plugins.METHODS, stage.method
    scored = [stage.domain] if isinstance(stage, SpecialistStage) else getattr(stage, "domains", [])
    yield from ((plugins.VERIFIERS, domain.verifier) for domain in scored if isinstance(domain, ScoredDomain))


def modules(stage: Stage) -> set[str]:
    """The modules that may change what the stage makes."""
    plain = closure(roots(stage))
    return closure([*plain, *(kernel for name, kernel in KERNELS.items() if name in plain)]) - TRACELESS.keys()


def roots(stage: Stage) -> tuple[str, ...]:
    """The modules that a stage's config chooses."""
    if isinstance(stage, DataStage):
        return "thicket.stages.data", module_of(SOURCES, stage.domain.source)
    if isinstance(stage, BaseStage):
        corpus = ("thicket.domains.corpus",) if isinstance(stage.base, PretrainedBase) else ()
        return "thicket.stages.base", PROVENANCE, *BASES[stage.base.type], *corpus
    if isinstance(stage, SpecialistStage):
        maker = next(maker for family, maker in SPECIALISTS.items() if isinstance(stage.method, family))
        made_by = maker, module_of("thicket.methods", stage.method)
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
    return [module_of(VERIFIERS, domain.verifier) for domain in domains]
