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
COMPLETION = """\
examples:
  eval "$(thicket completion bash)"    in ~/.bashrc; zsh alike, in ~/.zshrc
  thicket completion fish > ~/.config/fish/completions/thicket.fish"""


class Help(argparse.RawDescriptionHelpFormatter):
    """With room for the longest of commands in a list: argparse forgets that they are indented."""

    def add_argument(self, action: argparse.Action) -> None:
        super().add_argument(action)
        if action.nargs == argparse.PARSER:
            self._action_max_length += self._indent_increment


def command(commands: Any, name: str, does: str, *examples: str) -> argparse.ArgumentParser:
    """Adds a command: what it does stands in the list of all and at the head of its own help, with examples below.

    `examples`: what may stand behind its name.
    """
    said = f"{does[0].upper()}{does[1:]}".rstrip("…, ") + "."
    one = commands.add_parser(name, help=does, description=said, formatter_class=Help)
    lines = [f"{one.prog} {example}".rstrip() for example in examples]
    one.epilog = "\n  ".join([f"example{'s' if len(lines) > 1 else ''}:", *lines]) if lines else None
    return one


def add(commands: Any) -> None:
    """Adds the commands to a parser's."""
    told = "the pipeline as a tree: done, stale and why, running, failed"
    status = command(commands, "status", told, "", "opd")
    what = "a model, or a stage as in dvc.yaml: it and what it needs (default: all)"
    completes(status.add_argument("names", nargs="*", metavar="MODEL", help=what), stages_and_models)
    _json(status)
    told = "all about a model: lineage, scores, ledger, config; how far a sweep is"
    show = command(commands, "show", told, "opd", "build/runs/sweeps")
    what = "a model that params.yaml declares, or the folder of a run or a sweep (build/runs/…)"
    completes(show.add_argument("model", metavar="MODEL", type=folder_from_here, help=what), models)
    _json(show)
    told = "models, or groups of seeds: paired differences, config, divergence"
    compare = command(commands, "compare", told, "tiny opd", "HEAD~1:opd opd", "s0-opd,s1-opd s0-soup,s1-soup")
    what = (
        "a model's name or folder, or REV:NAME, as it was in another commit; several by commas or a pattern "
        "('s?-sort-grpo') are seeds of one; a sweep's folder is a side for each way in which its runs differ beside "
        "the seed; all are held against the first"
    )
    completes(compare.add_argument("sides", nargs="+", metavar="A", type=folders_from_here, help=what), models)
    _json(compare)
    chat = command(commands, "chat", "talk to a model; lines from a pipe are turns too", "opd --domain sort")
    talker = chat.add_argument("model", metavar="MODEL", type=name_or_folder, help="of params.yaml, or a folder")
    completes(talker, models)
    asked = chat.add_argument("--domain", metavar="NAME", help="ask as this domain does, without solved examples")
    completes(asked, domains)
    what = "of the sampling; 0: the likeliest token (default: 1)"
    chat.add_argument("--temperature", type=float, metavar="T", help=what)
    what = "most tokens of an answer (default: 256, or the domain's)"
    chat.add_argument("--tokens", type=at_least_one, metavar="N", help=what)
    chat.add_argument("--seed", type=int, default=0, metavar="N", help="fixes the answers (default: 0)")
    told = "a model as a folder for the Hugging Face hub, with its card"
    export = command(commands, "export", told, "opd --license mit")
    what = "a model that params.yaml declares, or the folder of a run (build/runs/…)"
    completes(export.add_argument("model", metavar="MODEL", type=folder_from_here, help=what), models)
    what = "where it goes (default: build/export/MODEL)"
    export.add_argument("--out", metavar="FOLDER", type=from_here, help=what)
    what = "the model's, by its id on the hub (default: its base's, where that is known)"
    export.add_argument("--license", metavar="ID", help=what)
    told = "scores and claims as tables for a text or a spreadsheet"
    tables = command(commands, "tables", told, "", "scores --format csv > scores.csv")
    tables.add_argument("which", nargs="?", choices=("scores", "claims"), help="one of them (default: all there are)")
    tables.add_argument("--format", choices=FORMATS, default=FORMATS[0], help=f"(default: {FORMATS[0]})")
    told = "what the caches and checkpoints hold; --yes frees what nothing needs"
    clean = command(commands, "clean", told, "", "--yes", "stopped --yes")
    what = f"just these, and those that are freed by name alone: {', '.join(KINDS)}"
    completes(clean.add_argument("kinds", nargs="*", metavar="KIND", help=what), lambda **_: list(KINDS))
    clean.add_argument("--yes", action="store_true", help="free it (default: just say what there is)")
    _json(clean)
    told = "what makes a shell complete commands, models and stages"
    completion = command(commands, "completion", told)
    completion.epilog = COMPLETION
    completion.add_argument("shell", choices=SHELLS)


def at_least_one(text: str) -> int:
    """A whole number from 1."""
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: allowed are whole numbers from 1")
    return number


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
    command.add_argument("--json", action="store_true", help="the same as JSON, for programs")


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
    return [name for stage in stages() if (name := _of(stage, "base", "specialist", "student"))]


def stages_and_models(**_: Any) -> list[str]:
    return [*stages(), *models()]


def comparable(**_: Any) -> list[str]:
    return [*stages_and_models(), *experiments()]


def experiments(**_: Any) -> list[str]:
    """The experiments of conf/."""
    return _options("experiment")


def analyses(**_: Any) -> list[str]:
    """The options of conf/analysis, and the analyses of dvc.yaml."""
    return [*_options("analysis"), *(name for stage in stages() if (name := _of(stage, "analyze")))]


def schemas(**_: Any) -> list[str]:
    from thicket.config.library import GROUPS

    return ["params", *GROUPS]


def _options(group: str) -> list[str]:
    from thicket.config.places import project_root
    from thicket.config.project import Project

    return Project(project_root(Path.cwd())).library.options(group)


def domains(**_: Any) -> list[str]:
    """The domains of dvc.yaml."""
    return [name for stage in stages() if (name := _of(stage, "data"))]


def _of(stage: str, *kinds: str) -> str:
    """What a stage of one of these kinds makes; of others nothing."""
    kind, _, name = stage.partition("-")
    return name if kind in kinds else ""
