"""How a model's prompts look: what somebody needs who asks it as it was trained and scored."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from thicket.config.domain import DataDomain, Prompt, ScoredDomain
from thicket.config.source import PLACEHOLDER, DatasetSource
from thicket.config.stages import AnyStage, DataStage

UNSAID = "None is known: it was trained on no domain."
WORDS = "As JSON writes them; `{question}` is the item's question."


def prompt_forms(stages: Sequence[AnyStage], data: dict[str, DataStage], domains: Iterable[str]) -> list[str]:
    """Paragraphs of a card. `stages`: those that made the model, itself first; of two of a domain the first counts."""
    asked = _by_domain(stages)
    lines = [_line(name, data[name].domain, asked.get(name)) for name in domains]
    return ["\n".join(lines), WORDS] if lines else [UNSAID]


def asked_domains(stages: Sequence[AnyStage], domains: Iterable[str]) -> list[ScoredDomain]:
    """Of these domains, what the model is asked by."""
    found = _by_domain(stages)
    return [found[name] for name in domains if name in found]


def _by_domain(stages: Sequence[AnyStage]) -> dict[str, ScoredDomain]:
    found: dict[str, ScoredDomain] = {}
    for stage in stages:
        for one in _domains(stage):
            found.setdefault(one.name, one)
    return found


def _domains(stage: Any) -> Iterator[ScoredDomain]:
    own = [stage.domain] if hasattr(stage, "domain") else getattr(stage, "domains", [])
    yield from (one for one in own if isinstance(one, ScoredDomain))


def _line(name: str, made: DataDomain, asked: ScoredDomain | None) -> str:
    prefix, prompt = asked.prefix if asked else "", made.prompt
    if prompt.style == "chat":
        system = "\n\n".join(filter(None, (prefix, prompt.system)))
        form = f"a user's turn of the chat template: {_code(prompt.template)}"
        form += f", after the system turn {_code(system)}" if system else ""
        form += f", after {_examples(prompt)} as turns" if prompt.shots else ""
    else:
        form = f"plain text, which the model goes on with: {_code(prefix + prompt.template)}"
        form += f", after {_examples(prompt)}, {_code(prompt.shot_template)} each" if prompt.shots else ""
    if isinstance(made.source, DatasetSource) and PLACEHOLDER.sub("", made.source.question).strip():
        form += f"; the question is made of a row by {_code(made.source.question)}"
    stop = asked.stop if asked else None
    return f"- `{name}`: {form}" + (f"; the answer ends at {_code(stop)}" if stop else "")


def _examples(prompt: Prompt) -> str:
    return f"{prompt.shots} solved example{'s' if prompt.shots > 1 else ''}"


def _code(text: str) -> str:
    """A code span, whatever backticks are in it."""
    shown = json.dumps(text, ensure_ascii=False)
    ticks = "`" * (1 + max(map(len, re.findall("`+", shown)), default=0))
    return f"{ticks}{shown}{ticks}"
