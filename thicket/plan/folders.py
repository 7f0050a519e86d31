"""Models by their folders: of a run by itself, or any folder that holds one."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from thicket.config.fields import NAME_PATTERN
from thicket.config.overrides import COMMAND_LINE
from thicket.config.places import MODELS, RUNS
from thicket.config.problems import ConfigError, Problem, nearest, shown
from thicket.config.resolve import Resolved
from thicket.config.stages import EvaluateStage
from thicket.plan.console import read_json

MAKERS = ("base", "specialist", "student")
"""The stages that make models: a run keeps its own in a folder of this name."""
FILES = ("provenance.json", "config.json")
"""One of them is in every model's folder."""
HELD = "a run (build/runs/specialist/…), a sweep (build/runs/sweeps/…), or a model's own folder"


def is_folder(text: str) -> bool:
    """Whether a text means a folder and not a model's name."""
    return "/" in text


def within(root: Path, path: Path) -> str:
    """A path relative to the project where it lies in it."""
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def model_folder(root: Path, text: str) -> str:
    """The folder of a model, which is that of a run or lies in it. Raises: ConfigError where there is none."""
    folder = root / text
    for path in (folder, *(folder / kind for kind in MAKERS)):
        if any((path / file).is_file() for file in FILES):
            return within(root, path)
    siblings = [within(root, path) for path in folder.parent.glob("*/") if path != folder]
    wrong = "there is no model in this folder" if folder.is_dir() else "there is no such folder"
    if folder.name == "evaluate":
        wrong = "scores of a model, and none: name the run or the sweep that made it"
    raise ConfigError([Problem(COMMAND_LINE, "model", shown(text), wrong, HELD, nearest(text, siblings))])


def name_of(root: Path, folder: str) -> str:
    """A name for the model of a folder: a declared one's own, a run's with its hash, else the end of the path."""
    path = (root / folder).resolve()
    run_of = path.parent if path.name in MAKERS and path.is_relative_to((root / RUNS).resolve()) else path
    if re.fullmatch(NAME_PATTERN, run_of.name):
        return run_of.name
    return re.sub(r"[^a-z0-9]+", "-", run_of.name.lower()).strip("-") or "model"


def provenance_of(root: Path, folder: str) -> dict[str, Any]:
    """How the model of a folder was made; nothing for one that thicket has not made. Raises: ValueError."""
    path = root / folder / "provenance.json"
    return read_json(path) if path.is_file() else {}


def declared_name(root: Path, folder: str) -> str:
    """The model of the project that a folder is the very place of; empty where it is none."""
    path = (root / folder).resolve()
    return path.name if path.parent == (root / MODELS).resolve() else ""


def evaluation_of(root: Path, folder: str, stages: list[Resolved]) -> Resolved:
    """The evaluation of a folder's model, as the project evaluates the model that it was a run of, else its bases."""
    evaluations = {made.stage.name: made for made in stages if isinstance(made.stage, EvaluateStage)}
    like = evaluations.get(provenance_of(root, folder).get("name", "")) or next(iter(evaluations.values()))
    stage = like.stage.model_copy(update={"name": name_of(root, folder), "source": folder})
    return replace(like, stage=stage, models=())
