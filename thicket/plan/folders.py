"""Models by their folders: of a run by itself, or any folder that holds one."""

import re
from contextlib import suppress
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
from thicket.plan.run_states import making_words, run_state, state_words

MAKERS = ("base", "specialist", "student")
"""The stages that make models: a run keeps its own in a folder of this name."""
FILES = ("provenance.json", "config.json")
"""One of them is in every model's folder."""
MULTIRUN = "multirun.yaml"
"""What Hydra writes into a sweep's folder as it begins."""
ONE_MODEL = "a run (build/runs/specialist/…), or a model's own folder"
SOME_MODELS = "a run (build/runs/specialist/…), a sweep (build/runs/sweeps/…), or a model's own folder"
"""What commands take for a model, and those that take several."""
DEPTHS = ("", "*/", "*/*/", "*/*/*/")
"""How far down models are looked for in a folder that is none: in build/runs, they are in KIND/RUN/KIND."""
SHOWN = 4
"""The most of them that are named."""


def is_folder(text: str) -> bool:
    """Whether a text means a folder and not a model's name."""
    return "/" in text


def is_sweep(folder: Path) -> bool:
    """Whether a folder is that of a sweep."""
    return (folder / MULTIRUN).is_file()


def within(root: Path, path: Path) -> str:
    """A path relative to the project where it lies in it."""
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def model_folder(root: Path, text: str, held: str = ONE_MODEL) -> str:
    """The folder of a model, which is that of a run or lies in it, as `is_folder` knows one. `held`: what may be given,
    for the message.

    Raises: ConfigError where there is none.
    """
    folder = root / text
    for path in (folder, *(folder / kind for kind in MAKERS)):
        if _is_model(path):
            found = within(root, path)
            return found if is_folder(found) else f"./{found}"
    if found := [within(root, path) for path in _models_in(root, folder)]:
        more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        held += f"; in this one: {', '.join(found[:SHOWN])}{more}"
    siblings = [] if folder.is_dir() else [path for path in folder.parent.glob("*/") if _models_in(root, path)]
    near = nearest(text, [within(root, path) for path in siblings])
    raise ConfigError([Problem(COMMAND_LINE, "model", shown(text), _lacking(root, folder), held, near)])


def run_named(root: Path, name: str) -> str:
    """The folder of the run that has a name, as `compare` and cards call it; empty where there is none."""
    if not re.fullmatch(NAME_PATTERN, name):
        return ""
    folders = (RUNS / kind / name for kind in MAKERS)
    return next((str(folder) for folder in folders if (root / folder).is_dir()), "")


def run_artifact(root: Path, folder: str) -> str:
    """The place of the model that a run is to make, by the run's folder or its own; empty where it is no run's."""
    path = root / folder
    path = path.parent if path.name in MAKERS and path.parent.is_dir() else path
    of_run = path.parent.parent == root / RUNS and path.parent.name in MAKERS and path.is_dir()
    return within(root, path / path.parent.name) if of_run else ""


def _lacking(root: Path, folder: Path) -> str:
    """Why there is no model in a folder."""
    if artifact := run_artifact(root, within(root, folder)):
        state = run_state(root, artifact)
        if state.mark == "running":
            return f"it is {making_words(state.record)}"
        told = state_words(state)
        return told if state.mark == "gone" else f"not made yet: {told}"
    if "evaluate" in (folder.name, folder.parent.name):
        return "scores of a model, and none: name the run or the sweep that made it"
    if is_sweep(folder):
        return f"a sweep: name one of its runs, which `thicket show {within(root, folder)}` lists"
    return "there is no model in this folder" if folder.is_dir() else "there is no such folder"


def _is_model(path: Path) -> bool:
    return any((path / file).is_file() for file in FILES)


def _models_in(root: Path, folder: Path) -> list[Path]:
    """The models some way down in a folder, those of runs by the runs' folders; the newest first."""
    depths = DEPTHS if folder.is_relative_to(root) else DEPTHS[:1]  # Elsewhere it may be a whole disk.
    found = {path.parent for depth in depths for file in FILES for path in folder.glob(f"{depth}{file}")}
    newest = sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)
    return [path.parent if path.name == path.parent.parent.name else path for path in newest]


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


def made_for(root: Path, folder: str) -> list[str]:
    """The domains that the model of a folder was made for: a specialist's own, of a student those that it was trained
    or chosen on, else its teachers'; none of a base, and where nobody says. Raises: ValueError."""
    config, found = provenance_of(root, folder).get("config", {}), list[str]()
    with suppress(KeyError, TypeError):  # Another version of thicket may say it otherwise.
        found += [domain["name"] for domain in ([config["domain"]] if "domain" in config else config["domains"])]
        for teacher in config["teachers"] if not found else []:
            found += [teacher["domain"]] if teacher["domain"] else made_for(root, str(MODELS / teacher["name"]))
    return list(dict.fromkeys(found))


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
