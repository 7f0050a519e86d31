"""The DAG of a project: every stage's resolved config, with the code that it runs, and what it reads and writes."""

from dataclasses import dataclass, replace
from pathlib import Path

from thicket.config.project import CONFIG, CURVES, DATA, EVALUATION, METRICS, MODELS, REPORT, Project
from thicket.config.resolve import Resolved, Resolver
from thicket.domains.sources.procedural import longest_question
from thicket.plan.code import code_of


@dataclass(frozen=True)
class Planned:
    """A stage of the DAG."""

    resolved: Resolved
    config: Path
    """Its resolved config, relative to the project."""
    reads: tuple[Path, ...]
    """Artifacts of other stages."""
    artifact: Path
    metrics: tuple[Path, ...] = ()
    plots: tuple[Path, ...] = ()


def resolve(project: Project) -> list[Resolved]:
    """Every stage's config with the hashes of its code. Raises: ConfigError."""
    return [
        replace(made, stage=made.stage.model_copy(update={"code": code_of(made.stage)}))
        for made in Resolver(project, longest_question).resolve()
    ]


def pipeline(project: Project) -> list[Planned]:
    """The whole DAG, in an order in which it can be run. Raises: ConfigError."""
    return [_planned(resolved) for resolved in resolve(project)]


def _planned(resolved: Resolved) -> Planned:
    name, kind = resolved.stage.name, resolved.kind
    models = tuple(MODELS / model for model in resolved.models)
    reads = (*models, *(DATA / domain for domain in resolved.domains))
    if kind == "data":
        return Planned(resolved, CONFIG / "data" / f"{name}.yaml", _files(resolved), DATA / name)
    if kind == "evaluate":
        config, out = CONFIG / "evaluate" / f"{name}.yaml", EVALUATION / name
        return Planned(resolved, config, reads, out)
    if kind == "report":
        scored = tuple(EVALUATION / model for model in resolved.models)
        ledgers = tuple(METRICS / f"{model}.json" for model in resolved.models)
        return Planned(resolved, CONFIG / "report.yaml", (*models, *scored, *ledgers), REPORT)
    curves = (CURVES / f"{name}.csv",) if _is_trained(resolved) else ()
    config = CONFIG / "models" / f"{name}.yaml"
    return Planned(resolved, config, (*_files(resolved), *reads), MODELS / name, (METRICS / f"{name}.json",), curves)


def _is_trained(resolved: Resolved) -> bool:
    made = getattr(resolved.stage, "base" if resolved.kind == "base" else "method")
    return made.type in ("pretrain", "opd", "mixed") or resolved.kind == "specialist"


def _files(resolved: Resolved) -> tuple[Path, ...]:
    """Local files and folders that a stage's source names."""
    stage = resolved.stage
    source = getattr(getattr(stage, "domain", None), "source", None) or getattr(stage, "base", None)
    if getattr(source, "type", "") == "folder":
        return (Path(source.path),)  # type: ignore[union-attr]
    if getattr(source, "type", "") == "gguf" and source.package is None:  # type: ignore[union-attr]
        return (Path(source.file),)  # type: ignore[union-attr]
    named = getattr(source, "data_files", None) or []
    return tuple(Path(file) for file in ([named] if isinstance(named, str) else named))
