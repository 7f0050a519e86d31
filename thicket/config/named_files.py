"""Local files and folders that a stage's config names: what it reads that no other stage makes."""

from collections.abc import Iterator
from pathlib import Path

from thicket.config.base import FolderBase, GgufBase
from thicket.config.layers import Path_
from thicket.config.stages import BaseStage, DataStage, EvaluateStage, SpecialistStage, Stage, StudentStage


def named_files(stage: Stage) -> Iterator[tuple[Path_, Path]]:
    """Local files and folders that a stage's config names, each with its place in it."""
    if isinstance(stage, BaseStage) and isinstance(stage.base, FolderBase):
        yield ("base", "path"), Path(stage.base.path)
    elif isinstance(stage, BaseStage) and isinstance(stage.base, GgufBase) and stage.base.package is None:
        yield ("base", "file"), Path(stage.base.file)
    elif isinstance(stage, SpecialistStage):
        yield from _judges(("domain",), stage.domain.verifier)
    elif isinstance(stage, EvaluateStage | StudentStage):
        if isinstance(stage, EvaluateStage) and stage.source:
            yield ("source",), Path(stage.source)
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
