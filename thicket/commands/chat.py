"""The command chat: a person, or a pipe, and a model take turns."""

import math
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from thicket.commands.models import built, models_of
from thicket.config.answering import Answering
from thicket.config.overrides import COMMAND_LINE
from thicket.config.places import PARAMS
from thicket.config.problems import ConfigError, Problem, nearest, shown
from thicket.config.project import Project
from thicket.config.run import Trainer
from thicket.config.stages import DataStage, EvaluateStage
from thicket.models.answering import read_answering
from thicket.plan.folders import run_named, within
from thicket.plan.inputs import check_models
from thicket.plan.inspect import pick
from thicket.plan.pipeline import resolve
from thicket.plan.sweeps import one_model

HELP = """\
/temperature T   of the sampling; 0: the likeliest token
/tokens N        most tokens of an answer
/reset           forget what was said, and begin with the first draws again
/quit            leave (or Ctrl-D); Ctrl-C breaks off an answer"""
COMMANDS = ("/temperature", "/tokens", "/reset", "/quit", "/help")
UNFINISHED = "\N{REPLACEMENT CHARACTER}"
"""Stands for a character of which tokens are still to come."""


@dataclass(frozen=True)
class Settings:
    """How the next answer is drawn."""

    temperature: float
    tokens: int
    seed: int
    top_k: int = 0
    top_p: float = 1.0


def chat(
    root: Path, model: str | Path, domain: str | None, temperature: float | None, tokens: int | None, seed: int
) -> None:
    """Answers line by line. Raises: ConfigError where there is no such model or domain; ValueError."""
    if temperature is not None:
        _check_temperature(temperature)
    known = resolve(Project(root), with_code=False) if (root / PARAMS).is_file() else []
    if isinstance(model, Path):
        folder = root / one_model(root, within(root, model))
    else:
        folder = built(root, pick(model, models_of(known), "model", run_named(root, model)))
    way = read_answering(folder) or Answering()
    check_models(root, way.others)
    asked = _asked(Project(root), known, domain) if domain else None
    scoring: Any = next((made.stage for made in known if isinstance(made.stage, EvaluateStage)), None)
    settings = Settings(
        temperature=temperature if temperature is not None else way.temperature if way.temperature is not None else 1.0,
        tokens=tokens or (asked.window if asked else 256),
        seed=seed,
        top_k=way.top_k or 0,
        top_p=way.top_p or 1.0,
    )
    from thicket.commands.talker import Talker

    talker = Talker(folder, root, way, asked, scoring.trainer if scoring else Trainer())
    _Conversation(talker, settings).run(sys.stdin.isatty())


@dataclass(frozen=True)
class Asked:
    """How a domain asks."""

    name: str
    prompt: Any
    """Its wording, without solved examples."""
    stop: str | None
    longest: int | None
    """The most tokens of its prompts; None where it is scored by none."""
    window: int
    """Longest answer, in tokens."""


def _asked(project: Project, known: list[Any], domain: str) -> Asked:
    data = {made.stage.name: made.stage for made in known if isinstance(made.stage, DataStage)}
    if known and domain not in data and domain in project.library.options("domain"):
        wrong = f"conf/domain/{domain}.yaml is there, but not declared: add {domain} to `domains` in {PARAMS}"
        raise ConfigError([Problem(COMMAND_LINE, "domain", shown(domain), wrong, ", ".join(data))])
    wording = pick(domain, data, "domain").domain.prompt.model_copy(update={"shots": 0})
    scored = next(made.stage for made in known if isinstance(made.stage, EvaluateStage)).domains
    of = {one.name: one for one in scored}.get(domain)
    if of is None:
        return Asked(domain, wording, None, None, 256)
    return Asked(domain, wording, of.stop, of.window.prompt, of.window.response)


class _Conversation:
    def __init__(self, talker: Any, settings: Settings):
        self.talker, self.settings, self.turn = talker, settings, 0

    def run(self, interactive: bool) -> None:
        if interactive:
            with suppress(ImportError):
                import readline  # noqa: F401  (lines can be edited, and come back)
            print(f"{self.talker.about} /help lists what else there is to say.")
        for line in _typed() if interactive else (line.rstrip("\n") for line in sys.stdin):
            if line.startswith("/"):
                if not self._command(line):
                    return
            elif line.strip():
                self._answer(line)

    def _answer(self, line: str) -> None:
        said = self.talker.answer(line, self.turn, self.settings)
        self.turn += 1
        try:
            for doubt in self.talker.doubts(line):
                print(f"Note: {doubt}", file=sys.stderr)
            for piece in said:
                print(piece, end="", flush=True)
        except KeyboardInterrupt:
            print(" …", end="")
        except ValueError as error:
            print(f"Error: {error}", end="", file=sys.stderr)
        finally:
            said.close()
        print(flush=True)
        if self.talker.is_full:
            print(f"Note: cut off, as the context of {self.talker.context} tokens is full", file=sys.stderr)

    def _command(self, line: str) -> bool:
        """Whether the conversation goes on."""
        name, _, value = line.partition(" ")
        if name == "/quit":
            return False
        if name == "/help":
            print(HELP)
        elif name == "/reset":
            self.turn = 0
            self.talker.forget()
        elif name in ("/temperature", "/tokens"):
            self._set(name, value.strip())
        else:
            close = nearest(name, COMMANDS)
            print(f"{name}: unknown; {f'did you mean {close}? ' if close else ''}/help lists all.", file=sys.stderr)
        return True

    def _set(self, name: str, value: str) -> None:
        try:
            if name == "/tokens":
                tokens = int(value)
                if tokens < 1:
                    raise ValueError
                self.settings = replace(self.settings, tokens=tokens)
            else:
                temperature = float(value)
                _check_temperature(temperature)
                self.settings = replace(self.settings, temperature=temperature)
        except (ValueError, ConfigError):
            allowed = "a whole number from 1 on" if name == "/tokens" else "a number from 0 on"
            print(f"{name}: {value!r} is not {allowed}", file=sys.stderr)


def _typed() -> Iterator[str]:
    """Lines from a terminal, up to Ctrl-D or Ctrl-C."""
    while True:
        try:
            yield input("> ")
        except (EOFError, KeyboardInterrupt):
            print()
            return


def _check_temperature(temperature: float) -> None:
    if not (math.isfinite(temperature) and temperature >= 0):
        raise ConfigError([Problem(COMMAND_LINE, "--temperature", f"{temperature:g}", "not a number from 0 on")])


def shown_so_far(text: str) -> str:
    """Of a text that is being decoded, what no further token changes."""
    return text.rstrip(UNFINISHED)
