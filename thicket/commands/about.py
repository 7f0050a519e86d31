"""What a model is, in a few words."""

from collections.abc import Iterable, Iterator
from typing import Any

from thicket.config.layers import Path_
from thicket.config.problems import dotted
from thicket.config.resolve import Resolved
from thicket.config.stages import BaseStage, SpecialistStage
from thicket.plan.console import as_json
from thicket.plan.inspect import values

LONGEST = 32
"""Characters of a value."""


def about(stage: Any) -> str:
    """What a model is: `grpo on sort`, `opd of sort-grpo, odd-grpo`."""
    if isinstance(stage, BaseStage):
        return stage.base.type
    if isinstance(stage, SpecialistStage):
        return f"{stage.method.type} on {stage.domain.name}"
    of = [teacher.name for teacher in stage.teachers] or [domain.name for domain in stage.domains]
    return f"{stage.method.type} {'of' if stage.teachers else 'on'} {', '.join(of)}"


def abouts(models: Iterable[Resolved], within_base: bool = False) -> dict[str, str]:
    """Name → what a model is; where several are the same, with values that tell them apart.

    `within_base`: those are told apart that start from one model.
    """
    alike: dict[tuple[Any, str], list[Resolved]] = {}
    for made in models:
        base = getattr(made.stage, "base", None)
        start = base if within_base and isinstance(base, str) else None
        alike.setdefault((start, about(made.stage)), []).append(made)
    return {name: text for group in alike.values() for name, text in _told_apart(group)}


def _told_apart(group: list[Resolved]) -> Iterator[tuple[str, str]]:
    configs = [values(made) if len(group) > 1 else {} for made in group]
    paths = _telling(configs)
    for made, config in zip(group, configs, strict=True):
        told = [f"{dotted(path)} {_short(config.get(path))}" for path in paths]
        yield made.stage.name, ", ".join([about(made.stage), *told])


def _telling(configs: list[dict[Path_, Any]]) -> list[Path_]:
    """The fewest values that tell all of them apart, nearly: each in turn the one that tells most apart."""
    known = {path: [as_json(config.get(path)) for config in configs] for config in configs for path in config}
    known.pop(("name",), None)
    found: list[Path_] = []
    told: list[tuple[str, ...]] = [()] * len(configs)
    while len(set(told)) < len(configs):
        kinds = {path: len({*zip(told, texts, strict=True)}) for path, texts in known.items()}
        best = max(kinds, key=lambda path: kinds[path], default=())
        if not best or kinds[best] == len(set(told)):
            break
        found.append(best)
        told = [(*before, text) for before, text in zip(told, known[best], strict=True)]
    return found


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else as_json(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
