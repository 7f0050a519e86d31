"""Whether what a stage reads is there, and was made with what the configs now say."""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from thicket.config.imitation import Sft
from thicket.config.layers import Path_, at_path
from thicket.config.named_files import named_files
from thicket.config.overrides import COMMAND_LINE
from thicket.config.places import BUILD, DATA, EVALUATION, MODELS, PARAMS
from thicket.config.plugins import is_plugin
from thicket.config.problems import ConfigError, Problem, dotted, nearest, shown
from thicket.config.project import Project
from thicket.config.resolve import Resolved
from thicket.config.source import CONSTANT, DatasetSource
from thicket.config.stages import BaseStage, DataStage, SpecialistStage
from thicket.config.yamlfile import read_yaml
from thicket.domains.files import first_row, has_column, unreadable
from thicket.evaluation.scored import is_outdated
from thicket.models.answering import read_answering
from thicket.models.files import CONFIG, faults
from thicket.plan.console import read_json
from thicket.plan.folders import MAKERS
from thicket.plan.pipeline import resolve
from thicket.plan.state import remedies
from thicket.plan.writable import unwritable
from thicket.stages.run import in_pipeline

BASE_FOLDER = ("base", "path")
MODEL_FOLDERS = (BASE_FOLDER, ("judge", "folder"))
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


def check_named(root: Path, stages: list[Resolved], bases_are_there: bool) -> None:
    """Raises: ConfigError where what a config names can't be what it is to be: a model's folder is there and can't be
    loaded as one, or has a model for a shorter context, a file is none of rows, or its rows lack a column or have no
    answer that the models can write or are to imitate; and, with `bases_are_there`, where a base's folder is not there.
    """
    problems = [*_model_folders(root, stages), *_nothing_to_imitate(stages)]
    problems += list(_rows(root, stages)) or unwritable(root, stages)
    if bases_are_there:
        problems += _missing_bases(root, stages)
    if problems:
        raise ConfigError(problems)


def _nothing_to_imitate(stages: list[Resolved]) -> Iterator[Problem]:
    """Specialists by demonstrations, on domains of rows that have neither these nor answers."""
    sources = {made.stage.name: made.stage.domain.source for made in stages if isinstance(made.stage, DataStage)}
    for made in stages:
        stage = made.stage
        if isinstance(stage, SpecialistStage) and isinstance(stage.method, Sft):
            source = sources.get(stage.domain.name)
            if isinstance(source, DatasetSource) and source.answer is None and source.demonstration is None:
                lacking = "neither domain.source.demonstration nor domain.source.answer: nothing to imitate"
                wrong, where = f"the rows of {stage.domain.name} have {lacking}", made.layers.origin(("method", "type"))
                yield Problem(where, "method", shown(stage.method.type), wrong, users=(_user(made),))


def _missing_bases(root: Path, stages: list[Resolved]) -> Iterator[Problem]:
    """Folders of bases that are not there, and that no stage makes: nothing could begin."""
    found: list[Any] = [made.stage for made in stages]
    made_here = [in_pipeline(root, stage).artifact.resolve() for stage in found]
    for made in stages:
        for place, path in named_files(made.stage) if made.kind == "base" else ():
            folder = (root / path).resolve()
            if place == BASE_FOLDER and not folder.exists() and not any(map(folder.is_relative_to, made_here)):
                yield _of_file(made, place, "there is no such folder")


def _model_folders(root: Path, stages: list[Resolved]) -> Iterator[Problem]:
    for made in stages:
        for place, path in named_files(made.stage):
            if place[-2:] in MODEL_FOLDERS and (root / path).exists():
                found = faults(root / path)
                yield from (_of_file(made, place, fault) for fault in found)
                if isinstance(made.stage, BaseStage) and not found:
                    yield from _context(made, made.stage, read_json(root / path / CONFIG))


def _context(made: Resolved, stage: BaseStage, config: dict[str, Any]) -> Iterator[Problem]:
    """A context that is longer than the one that a folder's model was made for."""
    text = config.get("text_config")
    longest = (text if isinstance(text, dict) else config).get("max_position_embeddings")
    if isinstance(longest, int) and stage.base.context > longest:
        wrong = f"the model was made for {longest} tokens"
        yield _of_file(made, ("base", "context"), wrong, f"at most {longest}")


def _rows(root: Path, stages: list[Resolved]) -> Iterator[Problem]:
    """What a file's name, header and first row tell: the data stage would stop there."""
    for made in stages:
        source = made.stage.domain.source if isinstance(made.stage, DataStage) else None
        if source is None or is_plugin(source):  # which may read files of any kind
            continue
        for place, path in named_files(made.stage):
            if wrong := unreadable(root / path):
                yield _of_file(made, place, wrong)
                continue
            row = first_row(root / path) if (root / path).is_file() else None
            if isinstance(row, dict) and isinstance(source, DatasetSource):
                yield from _columns(made, source, path, row)


def _columns(made: Resolved, source: DatasetSource, path: Path, row: dict[str, Any]) -> Iterator[Problem]:
    """Columns that a row lacks, and answers that are the name of one."""
    at, there = ("domain", "source"), list(map(str, row))
    for inner, column in source.columns():
        if not has_column(row, column):
            wrong = f"{path} has no column {column!r}"
            yield _of_file(made, (*at, *inner), wrong, ", ".join(there), nearest(column, there))
    for field, text in source.constants():
        if text in there:
            yield _of_file(made, (*at, field), CONSTANT, close=f"{{{text}}}")


def _of_file(made: Resolved, place: Path_, wrong: str, allowed: str = "", close: str = "") -> Problem:
    given = at_path(made.stage.model_dump(mode="json"), place)
    return Problem(made.layers.origin(place), dotted(place), shown(given), wrong, allowed, close, (_user(made),))


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
    read |= {f"{kind}-{model}" for kind in (*MAKERS, *scores) for model in wanted.models}
    return [made for made in stages if made.id in read]
