"""Whether what a stage reads is there, and was made with what the configs now say."""

from pathlib import Path
from typing import Any

from thicket.config.named_files import named_files
from thicket.config.places import BUILD, EVALUATION, MODELS
from thicket.config.problems import ConfigError, Problem, dotted
from thicket.config.resolve import Resolved
from thicket.config.yamlfile import read_yaml
from thicket.evaluation.scored import is_outdated
from thicket.models.files import faults
from thicket.stages.run import in_pipeline

MODEL_FOLDERS = (("base", "path"), ("judge", "folder"))
"""How the places end at which a config names a model's folder."""


def missing_files(root: Path, stages: list[Resolved]) -> dict[Path, tuple[str, str]]:
    """Files and folders that are not there → who names them, and where. What lies in build/ may be made yet."""
    missing = {}
    for made in stages:
        for place, path in named_files(made.stage):
            inside = (root / path).resolve().is_relative_to((root / BUILD).resolve())
            if not inside and not (root / path).exists():
                missing[path] = (made.id, made.layers.origin(place))
    return missing


def check_model_folders(root: Path, stages: list[Resolved]) -> None:
    """Raises: ConfigError where a folder that a config names as a model's is there, and can't be loaded as one."""
    problems = [
        Problem(made.layers.origin(place), dotted(place), repr(str(path)), fault, users=(_user(made),))
        for made in stages
        for place, path in named_files(made.stage)
        if place[-2:] in MODEL_FOLDERS and (root / path).exists()
        for fault in faults(root / path)
    ]
    if problems:
        raise ConfigError(problems)


def _user(made: Resolved) -> str:
    return f"{made.kind} {made.stage.name}"


def outdated(root: Path, stages: list[Resolved], wanted: Resolved) -> list[str]:
    """The stages whose artifacts a stage reads, and that DVC last ran with another config or other code than now."""
    lock = root / "dvc.lock"
    made = read_yaml(lock, lock.name).value["stages"] if lock.is_file() else {}
    now = {stage.id: stage.stage.model_dump(mode="json") for stage in _read_by(wanted, stages) if stage.id in made}
    return [name for name, config in now.items() if config not in made[name].get("params", {}).values()]


def of_earlier_weights(root: Path, wanted: Resolved) -> list[str]:
    """The evaluations that a report reads, and that are of other weights than the models now have."""
    models = wanted.models if wanted.kind == "report" else ()
    return [f"evaluate-{name}" for name in models if is_outdated(root / EVALUATION / name, root / MODELS / name)]


def not_made(root: Path, stages: list[Resolved], wanted: Resolved) -> list[str]:
    """The stages whose artifacts a stage reads, and that are not there yet."""
    found: list[tuple[str, Any]] = [(made.id, made.stage) for made in _read_by(wanted, stages)]
    return [name for name, stage in found if not in_pipeline(root, stage).artifact.exists()]


def _read_by(wanted: Resolved, stages: list[Resolved]) -> list[Resolved]:
    scores = ("evaluate",) if wanted.kind == "report" else ()
    read = {*(f"data-{domain}" for domain in wanted.domains)}
    read |= {f"{kind}-{model}" for kind in ("base", "specialist", "student", *scores) for model in wanted.models}
    return [made for made in stages if made.id in read]
