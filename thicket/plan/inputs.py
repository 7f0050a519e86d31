"""What a stage reads that no other stage makes, and whether what others made is what the configs now say."""

from collections.abc import Iterator
from pathlib import Path

from thicket.config.base import FolderBase, GgufBase
from thicket.config.layers import Path_
from thicket.config.problems import Problem, dotted
from thicket.config.project import BUILD
from thicket.config.resolve import Resolved
from thicket.config.stages import BaseStage, DataStage, EvaluateStage, SpecialistStage, Stage, StudentStage
from thicket.config.yamlfile import read_yaml


def named_files(stage: Stage) -> Iterator[tuple[Path_, Path]]:
    """Local files and folders that a stage's config names, each with its place in it."""
    if isinstance(stage, BaseStage) and isinstance(stage.base, FolderBase):
        yield ("base", "path"), Path(stage.base.path)
    elif isinstance(stage, BaseStage) and isinstance(stage.base, GgufBase) and stage.base.package is None:
        yield ("base", "file"), Path(stage.base.file)
    elif isinstance(stage, SpecialistStage):
        yield from _judges(("domain",), stage.domain.verifier)
    elif isinstance(stage, EvaluateStage | StudentStage):
        for index, domain in enumerate(stage.domains):
            yield from _judges(("domains", index), domain.verifier)
    elif isinstance(stage, DataStage):
        at: Path_ = ("domain", "source", "data_files")
        named = getattr(stage.domain.source, "data_files", None) or []
        if isinstance(named, str):
            yield at, Path(named)
        else:
            yield from (((*at, index), Path(file)) for index, file in enumerate(named))


def _judges(at: Path_, verifier: object) -> Iterator[tuple[Path_, Path]]:
    folder = getattr(getattr(verifier, "judge", None), "folder", None)
    if folder:
        yield (*at, "verifier", "judge", "folder"), Path(folder)


def missing_files(root: Path, stages: list[Resolved]) -> list[Problem]:
    """A problem for each file or folder that is not there. What lies in build/ may be made yet."""
    problems = []
    for made in stages:
        for place, path in named_files(made.stage):
            inside = (root / path).resolve().is_relative_to((root / BUILD).resolve())
            if not inside and not (root / path).exists():
                where, wrong = made.layers.origin(place), "there is no such file or folder"
                problems.append(Problem(where, dotted(place), str(path), wrong, users=(made.id.replace("-", " ", 1),)))
    return problems


def outdated(root: Path, stages: list[Resolved], wanted: Resolved) -> list[str]:
    """The stages whose artifacts a stage reads, and that DVC last ran with another config or other code than now."""
    lock = root / "dvc.lock"
    made = read_yaml(lock, lock.name).value["stages"] if lock.is_file() else {}
    read = {*(f"data-{domain}" for domain in wanted.domains)}
    read |= {f"{kind}-{model}" for kind in ("base", "specialist", "student") for model in wanted.models}
    now = {stage.id: stage.stage.model_dump(mode="json") for stage in stages if stage.id in read & made.keys()}
    return [name for name, config in now.items() if config not in made[name].get("params", {}).values()]
