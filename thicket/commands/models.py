"""The models that a project declares, by name, and where they lie."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from thicket.commands.status import words
from thicket.config.overrides import COMMAND_LINE
from thicket.config.places import EVALUATION, MODELS
from thicket.config.problems import ConfigError, Problem
from thicket.config.project import Project
from thicket.config.resolve import Resolved
from thicket.evaluation.scored import is_outdated
from thicket.plan.folders import MAKERS
from thicket.plan.inputs import check_built
from thicket.plan.inspect import pick
from thicket.plan.pipeline import pipeline, resolve
from thicket.plan.run_states import making_words
from thicket.plan.state import states


def models_of(resolved: Iterable[Resolved]) -> dict[str, Resolved]:
    """Name → stage of every model, each after those that it is made of."""
    return {made.stage.name: made for made in resolved if made.kind in MAKERS}


def parents_of(resolved: Resolved) -> list[str]:
    """The model that one started from, and its teachers."""
    stage: Any = resolved.stage
    start = [stage.base] if isinstance(getattr(stage, "base", None), str) else []
    return list(dict.fromkeys([*start, *(teacher.name for teacher in getattr(stage, "teachers", []))]))


def root_of(name: str, models: dict[str, Resolved]) -> str:
    """The base that a model goes back to."""
    base = getattr(models[name].stage, "base", None)
    return root_of(base, models) if isinstance(base, str) else name


def declared(root: Path) -> dict[str, Resolved]:
    """Name → stage of every model of a project, without the hashes of its code. Raises: ConfigError."""
    return models_of(resolve(Project(root), with_code=False))


def chosen(root: Path, name: str) -> Resolved:
    """The stage of a model. Raises: ConfigError where there is none of this name."""
    return pick(name, declared(root), "model")


def built(root: Path, resolved: Resolved) -> Path:
    """The folder of a model. Raises: ConfigError where it is not there, or not whole."""
    folder = root / MODELS / resolved.stage.name
    if not folder.is_dir() and (told := _on_its_way(root, resolved.id)):
        raise ConfigError([Problem(COMMAND_LINE, "model", repr(resolved.stage.name), told)])
    check_built(root, [resolved])
    return folder


def _on_its_way(root: Path, stage: str) -> str:
    """How far the making is of what a stage makes, and what became of it; empty where it has not begun."""
    state = next(one for one in states(root, pipeline(Project(root))) if one.id == stage)
    if state.mark == "running":
        return f"it is {making_words(state.record)}"
    return f"not made yet: {words(state)}" if state.mark in ("failed", "stopped") else ""


def scores_outdated(root: Path, name: str) -> bool:
    """Whether the scores of a model of the project, where there are any, are of one that lay in its folder before."""
    scores = root / EVALUATION / name
    return scores.is_dir() and is_outdated(scores, root / MODELS / name)


def aged(label: str, outdated: bool, gone: bool) -> str:
    """What stands over scores that may be of other weights than a model has now; `gone`: it has none here."""
    return f"{label} ({'weights not here' if gone else 'earlier weights'})" if outdated else label


def is_gone(root: Path, name: str) -> bool:
    """Whether the folder of a model of the project is not there."""
    return not (root / MODELS / name).is_dir()


def outdated_words(root: Path, names: Sequence[str]) -> str:
    """What is to be said of models whose scores are of the ones that lay in their folders before."""
    gone = [name for name in names if is_gone(root, name)]
    kinds = (
        ([name for name in names if name not in gone], "earlier weights", f"scores what {MODELS} holds now"),
        (gone, f"weights that {MODELS} holds no more", "makes what is missing and scores it"),
    )
    return " ".join(
        f"The scores of {', '.join(of)} are of {what}: `dvc repro {' '.join(map('evaluate-{}'.format, of))}` {does}."
        for of, what, does in kinds
        if of
    )
