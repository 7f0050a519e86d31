"""The DAG of a project: every stage's resolved config, with the code that it runs, and what it reads and writes."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from thicket.config.base import PretrainedBase
from thicket.config.layers import Path_
from thicket.config.named_files import named_files
from thicket.config.places import (
    ANALYSIS,
    CONFIG,
    CURVES,
    DATA,
    EVALUATION,
    METRICS,
    MODEL_CONFIGS,
    MODELS,
    PICTURES,
    REPORT,
)
from thicket.config.project import Project
from thicket.config.report_files import claims_files, report_files
from thicket.config.resolve import Resolved, Resolver
from thicket.config.search import Member
from thicket.config.stages import BaseStage, ClaimsStage, ReportStage, Stage, StudentStage
from thicket.domains.sources.procedural import longest_question
from thicket.plan.code import code_of

SomeStage = TypeVar("SomeStage", bound=Stage)


@dataclass(frozen=True)
class Planned:
    """A stage of the DAG."""

    resolved: Resolved
    config: Path
    """Its resolved config, relative to the project."""
    reads: tuple[Path, ...]
    """Artifacts of other stages, and by the report the resolved configs of its models."""
    artifact: Path
    metrics: tuple[Path, ...] = ()
    plots: tuple[Path, ...] = ()
    """Learning curves, or an analysis's picture."""
    files: tuple[str, ...] = ()
    """Of the artifact's folder, where another stage's files lie beside them; empty: the folder is the artifact."""

    @property
    def pictures(self) -> tuple[Path, ...]:
        """What `dvc plots` shows of it beside curves."""
        files = (*self.plots, *(self.artifact / name for name in self.files))
        return tuple(path for path in files if path.suffix == ".png")


def resolve(project: Project, with_code: bool = True) -> list[Resolved]:
    """Every stage's config, with the hashes of its code where they are wanted. Raises: ConfigError."""
    resolved = Resolver(project, longest_question).resolve()
    return [_with_code(made) for made in resolved] if with_code else resolved


def resolve_data(project: Project, domain: str, at: Path_) -> Resolved:
    """The data stage of a domain, which `at` in params.yaml asks for, on its own. Raises: ConfigError."""
    return _with_code(Resolver(project, longest_question).data(domain, at))


def _with_code(made: Resolved) -> Resolved:
    return replace(made, stage=hashed(made.stage))


def hashed(stage: SomeStage) -> SomeStage:
    """The stage with the hashes of its code."""
    return stage.model_copy(update={"code": code_of(stage)})


def pipeline(project: Project, with_code: bool = True) -> list[Planned]:
    """The whole DAG, in an order in which it can be run. Raises: ConfigError.

    Without the hashes of the stages' code it is there in half the time: what is no stage's run needs none.
    """
    stages = [_planned(resolved) for resolved in resolve(project, with_code=False)]
    curves = {one.resolved.stage.name: one.plots for one in stages if one.metrics}
    whole = [
        replace(one, reads=(*one.reads, *(path for model in one.resolved.models for path in curves.get(model, ()))))
        if one.resolved.kind in ("claims", "report")
        else one
        for one in stages
    ]
    return coded(whole) if with_code else whole


def coded(stages: list[Planned]) -> list[Planned]:
    """The stages with the hashes of their code. Raises: ConfigError where a plug-in's is not sound."""
    return [replace(one, resolved=_with_code(one.resolved)) for one in stages]


def _planned(resolved: Resolved) -> Planned:
    stage, name, kind = resolved.stage, resolved.stage.name, resolved.kind
    models = tuple(MODELS / model for model in resolved.models)
    files = dict.fromkeys(path for _, path in named_files(stage))
    reads = (*files, *models, *(DATA / domain for domain in resolved.domains))
    if kind == "data":
        return Planned(resolved, CONFIG / "data" / f"{name}.yaml", reads, DATA / name)
    if kind == "evaluate":
        return Planned(resolved, CONFIG / "evaluate" / f"{name}.yaml", reads, EVALUATION / name)
    if kind == "analyze":
        picture = PICTURES / f"{name}.png"
        return Planned(resolved, CONFIG / "analyze" / f"{name}.yaml", reads, ANALYSIS / name, plots=(picture,))
    if isinstance(stage, ReportStage | ClaimsStage):
        scored = tuple(EVALUATION / model for model in resolved.models)
        ledgers = tuple(METRICS / f"{model}.json" for model in resolved.models)
        if isinstance(stage, ClaimsStage):
            files, more = claims_files(stage), [ANALYSIS / one.name for one in stage.analyses]
        else:  # which says what of its models is not what their configs now declare
            files, more = report_files(stage), [MODEL_CONFIGS / f"{model}.yaml" for model in resolved.models]
        reads = (*models, *scored, *ledgers, *more)
        return Planned(resolved, CONFIG / f"{kind}.yaml", reads, REPORT, files=files)
    curves = (CURVES / f"{name}.csv",) if _is_trained(stage) else ()
    config = MODEL_CONFIGS / f"{name}.yaml"
    return Planned(resolved, config, reads, MODELS / name, (METRICS / f"{name}.json",), curves)


def _is_trained(stage: Stage) -> bool:
    """Whether the making of a model leaves a learning curve."""
    if isinstance(stage, BaseStage):
        return isinstance(stage.base, PretrainedBase)
    if isinstance(stage, StudentStage):
        return bool(stage.domains)  # a merge that has no choice is on none
    return not isinstance(getattr(stage, "method", None), Member)
