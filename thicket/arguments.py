"""The arguments of the commands that look at what was made, keep it in order and hand it on."""

import argparse
import os
import re
from collections.abc import Callable
from glob import has_magic
from importlib import import_module
from pathlib import Path
from typing import Any

NAMES = ("status", "show", "compare", "chat", "export", "tables", "clean", "completion")
"""The commands; each is a function in the module of its name in `thicket.commands`."""
KINDS = ("cache", "earlier", "checkpoints", "stopped", "scores", "runs", "logs")
"""What `thicket clean` can free."""
FORMATS = ("markdown", "csv", "latex")
SHELLS = ("bash", "zsh", "fish")


def add(commands: Any) -> None:
    """Adds the commands to a parser's."""
    status = commands.add_parser("status", help="the pipeline as a tree: done, stale and why, running, failed")
    what = "a model, or a stage as in dvc.yaml: it and what it needs (default: all)"
    completes(status.add_argument("names", nargs="*", metavar="MODEL", help=what), stages_and_models)
    _json(status)
    show = commands.add_parser("show", help="all about a model: lineage, scores, ledger, config; how far a sweep is")
    what = "a model that params.yaml declares, or the folder of a run or a sweep (build/runs/…)"
    completes(show.add_argument("model", metavar="MODEL", type=folder_from_here, help=what), models)
    _json(show)
    compare = commands.add_parser("compare", help="models, or groups of seeds: paired differences, config, divergence")
    sides = compare.add_argument(
        "sides",
        nargs="+",
        metavar="A",
        type=folders_from_here,
        help="a model's name or folder, or REV:NAME, as it was in another commit; several by commas or a pattern "
        "('s?-sort-grpo') are seeds of one; a sweep's folder is a side for each way in which its runs differ beside "
        "the seed; all are held against the first",
    )
    completes(sides, models)
    _json(compare)
    chat = commands.add_parser("chat", help="talk to a model; lines from a pipe are turns too")
    talker = chat.add_argument("model", metavar="MODEL", type=name_or_folder, help="of params.yaml, or a folder")
    completes(talker, models)
    asked = chat.add_argument("--domain", metavar="NAME", help="ask as this domain does, without solved examples")
    completes(asked, domains)
    chat.add_argument("--temperature", type=float, metavar="T", help="of the sampling; 0: the likeliest token (1)")
    chat.add_argument("--tokens", type=int, metavar="N", help="most tokens of an answer (256, or the domain's)")
    chat.add_argument("--seed", type=int, default=0, metavar="N", help="fixes the answers (0)")
    export = commands.add_parser("export", help="a model as a folder for the Hugging Face hub, with its card")
    what = "a model that params.yaml declares, or the folder of a run (build/runs/…)"
    completes(export.add_argument("model", metavar="MODEL", type=folder_from_here, help=what), models)
    export.add_argument("--out", metavar="FOLDER", type=from_here, help="where it goes (build/export/MODEL)")
    export.add_argument("--license", help="of the model, an id of the hub's; its base's where that is known")
    tables = commands.add_parser("tables", help="scores and claims as tables for a text or a spreadsheet")
    tables.add_argument("which", nargs="?", choices=("scores", "claims"), help="one of them (default: all there are)")
    tables.add_argument("--format", choices=FORMATS, default=FORMATS[0])
    clean = commands.add_parser("clean", help="what the caches and checkpoints hold; --yes frees what nothing needs")
    kinds = clean.add_argument("kinds", nargs="*", metavar="KIND", help=f"just these: {', '.join(KINDS)}")
    completes(kinds, lambda **_: list(KINDS))
    clean.add_argument("--yes", action="store_true", help="free it")
    _json(clean)
    completion = commands.add_parser("completion", help="what makes a shell complete commands, models and stages")
    completion.add_argument("shell", choices=SHELLS)


def from_here(path: str) -> Path:
    """A path that is relative to the folder of the call, before the command goes to the project's."""
    return Path(os.path.abspath(path))


def folder_from_here(text: str) -> str:
    """A name as it is; of a folder, or a pattern of folders, the whole path: a slash tells it from a name."""
    return str(from_here(text)) if "/" in text and (os.path.isdir(text) or has_magic(text)) else text


def folders_from_here(text: str) -> str:
    """The same of several, with commas between them."""
    return ",".join(map(folder_from_here, text.split(",")))


def name_or_folder(text: str) -> str | Path:
    """A model's name, or the folder of one."""
    return from_here(text) if "/" in text or text in (".", "..") else text


def _json(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="for programs")


def run(arguments: argparse.Namespace, root: Path) -> int:
    """Runs one of these commands: the function of its name in `thicket.commands`. Raises: ConfigError."""
    if arguments.command == "completion":  # for a shell that starts, and should not wait
        from thicket.commands.completion import completion

        return completion(arguments.shell)
    from thicket.stages.launch import guarded

    given = {name.replace("json", "as_json"): value for name, value in vars(arguments).items() if name != "command"}
    command = arguments.command
    return guarded(lambda: getattr(import_module(f"thicket.commands.{command}"), command)(root, **given))


# -- what a shell completes --------------------------------------------------------------------------------------------

Completer = Callable[..., list[str]]


def completes(argument: argparse.Action, completer: Completer) -> None:
    """Has argcomplete ask `completer` for an argument's values."""
    argument.completer = completer  # type: ignore[attr-defined]


def stages(**_: Any) -> list[str]:
    """The stages of dvc.yaml, read as text: a parser of YAML takes longer than a person waits for a word."""
    from thicket.config.places import project_root

    try:
        text = (project_root(Path.cwd()) / "dvc.yaml").read_text(encoding="utf-8")
    except OSError:
        return []
    within = re.search(r"^stages:\n((?:[ ].*\n|\n)*)", text, re.MULTILINE)
    return re.findall(r"^  (\S+):$", within[1], re.MULTILINE) if within else []


def models(**_: Any) -> list[str]:
    """The models of dvc.yaml."""
    kinds = ("base-", "specialist-", "student-")
    return [stage.partition("-")[2] for stage in stages() if stage.startswith(kinds)]


def stages_and_models(**_: Any) -> list[str]:
    return [*stages(), *models()]


def experiments(**_: Any) -> list[str]:
    """The experiments of conf/."""
    from thicket.config.library import EXPERIMENTS
    from thicket.config.places import project_root
    from thicket.config.project import Project

    return sorted(Project(project_root(Path.cwd())).library.options(EXPERIMENTS))


def domains(**_: Any) -> list[str]:
    """The domains of dvc.yaml."""
    return [stage.partition("-")[2] for stage in stages() if stage.startswith("data-")]
