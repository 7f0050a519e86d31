"""The commands experiment list and experiment use."""

import itertools
import re
import textwrap
from pathlib import Path

from thicket.config.library import EXPERIMENTS
from thicket.config.places import PARAMS
from thicket.config.problems import ConfigError, Problem
from thicket.config.project import Project
from thicket.disk import write_whole
from thicket.plan import console
from thicket.plan.by_hand import check_no_repro
from thicket.plan.commands import plan, sound

EDITED = "differs from every experiment of conf/experiment: it was edited. `--force` overwrites it"
SENTENCE = re.compile(r".+?[.](?=\s+[A-Z]|$)")


def show_list(root: Path) -> int:
    """Prints each experiment with what the comment at its file's head says first; a star marks the project's."""
    current = root / PARAMS
    text = current.read_text(encoding="utf-8") if current.is_file() else ""
    for name, file in _experiments(root).items():
        head = f"{'*' if file == text else ' '} {name:<20} "
        lines = textwrap.wrap(_first_sentence(file), console.width() - len(head)) or [""]
        print(head + f"\n{' ' * len(head)}".join(lines))
    return 0


def _first_sentence(file: str) -> str:
    """Of the comment that a file begins with; it may go over several lines."""
    lines = itertools.takewhile(lambda line: line.startswith("#"), file.splitlines())
    comment = " ".join(line.lstrip("#").strip() for line in lines)
    found = SENTENCE.match(comment)
    return found[0] if found else comment


def use(root: Path, name: str, force: bool) -> int:
    """Writes params.yaml from an experiment, and dvc.yaml from that.

    Raises: ConfigError where there is no such experiment, where it is not sound, where params.yaml was edited, or while
    a repro runs.
    """
    chosen = Project(root).experiment(name)
    texts, path = _experiments(root), root / PARAMS
    if path.is_file() and path.read_text(encoding="utf-8") not in texts.values() and not force:
        raise ConfigError([Problem(PARAMS, "", "", EDITED)])
    sound(chosen, bases_are_there=False)
    check_no_repro(root)
    write_whole(path, texts[name])
    print(f"{PARAMS} is the experiment {name}.")
    return plan(root)


def _experiments(root: Path) -> dict[str, str]:
    """Name → text of each experiment."""
    library = Project(root).library
    folder = library.root / EXPERIMENTS
    return {name: (folder / f"{name}.yaml").read_text(encoding="utf-8") for name in library.options(EXPERIMENTS)}
