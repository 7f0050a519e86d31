"""The commands experiment list and experiment use."""

import sys
from pathlib import Path

from thicket.config.problems import ConfigError, Problem, nearest
from thicket.config.project import PARAMS, Project
from thicket.plan.commands import plan

EDITED = "params.yaml differs from every experiment of conf/experiment: it was edited. `--force` overwrites it."


def _folder(root: Path) -> Path:
    return Project(root).library.root / "experiment"


def show_list(root: Path) -> int:
    """Prints each experiment with the first line of its file; a star marks the project's."""
    current = root / PARAMS
    text = current.read_text(encoding="utf-8") if current.is_file() else ""
    for name in Project(root).library.options("experiment"):
        file = (_folder(root) / f"{name}.yaml").read_text(encoding="utf-8")
        first = file.splitlines()[0].removeprefix("# ") if file.startswith("#") else ""
        print(f"{'*' if file == text else ' '} {name:<20} {first}")
    return 0


def use(root: Path, name: str, force: bool) -> int:
    """Writes params.yaml from an experiment, and dvc.yaml from that.

    Raises: ConfigError where there is no such experiment.
    """
    options = Project(root).library.options("experiment")
    if name not in options:
        wrong = "there is no such experiment"
        close = nearest(name, options)
        raise ConfigError([Problem("command line", "experiment", repr(name), wrong, ", ".join(options), close)])
    texts = [(_folder(root) / f"{option}.yaml").read_text(encoding="utf-8") for option in options]
    path = root / PARAMS
    if path.is_file() and path.read_text(encoding="utf-8") not in texts and not force:
        print(EDITED, file=sys.stderr)
        return 2
    path.write_text(texts[options.index(name)], encoding="utf-8")
    print(f"{PARAMS} is the experiment {name}.")
    return plan(root)
