"""Whether what a stage reads is there, and was made with what the configs now say."""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from thicket.config.layers import Path_
from thicket.config.named_files import named_files
from thicket.config.overrides import COMMAND_LINE
from thicket.config.places import BUILD, DATA, EVALUATION, MODELS, PARAMS
from thicket.config.problems import ConfigError, Problem, dotted, nearest, shown
from thicket.config.project import Project
from thicket.config.resolve import Resolved
from thicket.config.source import DatasetSource
from thicket.config.stages import DataStage
from thicket.config.yamlfile import read_yaml
from thicket.domains.files import first_row
from thicket.evaluation.scored import is_outdated
from thicket.models.answering import read_answering
from thicket.models.files import faults
from thicket.plan.folders import MAKERS
from thicket.plan.pipeline import resolve
from thicket.plan.state import remedies
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


def check_named(root: Path, stages: list[Resolved]) -> None:
    """Raises: ConfigError where what a config names is there, and is not what it is to be: a model's folder can't be
    loaded as one, or a file of rows lacks a column.
    """
    problems = [*_model_folders(root, stages), *_columns(root, stages)]
    if problems:
        raise ConfigError(problems)


def _model_folders(root: Path, stages: list[Resolved]) -> Iterator[Problem]:
    for made in stages:
        for place, path in named_files(made.stage):
            if place[-2:] in MODEL_FOLDERS and (root / path).exists():
                for fault in faults(root / path):
                    where = made.layers.origin(place)
                    yield Problem(where, dotted(place), repr(str(path)), fault, users=(_user(made),))


def _columns(root: Path, stages: list[Resolved]) -> Iterator[Problem]:
    """Columns that a file's first row lacks: the data stage would stop there."""
    for made in stages:
        source = made.stage.domain.source if isinstance(made.stage, DataStage) else None
        if not isinstance(source, DatasetSource):
            continue
        for _, path in named_files(made.stage):
            row = first_row(root / path) if (root / path).is_file() else None
            there = list(map(str, row)) if isinstance(row, dict) else []
            for at, column in source.columns() if there else ():
                if column not in there and column.partition(".")[0] not in there:
                    yield _no_column(made, ("domain", "source", *at), path, column, there)


def _no_column(made: Resolved, place: Path_, path: Path, column: str, there: list[str]) -> Problem:
    given: Any = made.stage.model_dump()
    for part in place:
        given = given[part]
    wrong, allowed = f"{path} has no column {column!r}", ", ".join(there)
    where, close = made.layers.origin(place), nearest(column, there)
    return Problem(where, dotted(place), shown(given), wrong, allowed, close, users=(_user(made),))


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
    """The stages whose artifacts a stage reads, and that are not there, or not whole."""
    return [made.id for made in _read_by(wanted, stages) if lacking(root, made)]


def check_built(root: Path, models: list[Resolved]) -> None:
    """Raises: ConfigError where a model of the project is not there, or not whole, with what makes it."""
    problems = [
        Problem(COMMAND_LINE, "model", shown(made.stage.name), f"{lack}: {remedies(root, [made.id])}")
        for made in models
        if (lack := lacking(root, made))
    ]
    if problems:
        raise ConfigError(problems)


def check_models(root: Path, names: Collection[str]) -> None:
    """The same of names, of which the project need not declare all. Raises: ConfigError."""
    if names and (root / PARAMS).is_file():
        models = [made for made in resolve(Project(root), with_code=False) if made.kind in MAKERS]
        check_built(root, [made for made in models if made.stage.name in names])


def lacking(root: Path, made: Resolved) -> str:
    """What a stage's artifact lacks, as far as names of files tell, for a message; empty: nothing."""
    stage: Any = made.stage
    folder = in_pipeline(root, stage).artifact
    if not folder.exists():
        return "not here"
    if made.kind not in MAKERS:
        return ""
    if not (folder / "provenance.json").is_file():
        return "no provenance.json here"
    way = read_answering(folder)
    return "" if way and way.others else "; ".join(faults(folder))


def not_declared(root: Path, stages: list[Resolved], wanted: Resolved) -> list[str]:
    """The domains that a stage reads, whose data is not there, and which no stage of the pipeline makes."""
    makes = {made.id for made in stages}
    return [name for name in wanted.domains if f"data-{name}" not in makes and not (root / DATA / name).exists()]


def _read_by(wanted: Resolved, stages: list[Resolved]) -> list[Resolved]:
    scores = ("evaluate",) if wanted.kind == "report" else ()
    read = {*(f"data-{domain}" for domain in wanted.domains)}
    read |= {f"{kind}-{model}" for kind in ("base", "specialist", "student", *scores) for model in wanted.models}
    return [made for made in stages if made.id in read]
