"""Whether models that are made from scratch can write the answers of a local file: their few characters are known
before anything is made. Procedural tasks are written in these; what a hub or another package has is not read for it.
"""

import io
from collections.abc import Iterator
from contextlib import redirect_stdout, suppress
from pathlib import Path
from typing import Any

from thicket.config.base import PretrainedBase
from thicket.config.domain import ScoredDomain
from thicket.config.named_files import named_files
from thicket.config.problems import Problem
from thicket.config.resolve import Resolved
from thicket.config.source import DatasetSource
from thicket.config.stages import BaseStage, DataStage, EvaluateStage, Stage
from thicket.domains.files import LARGE
from thicket.domains.item import Item, item_id
from thicket.domains.registry import raw_items
from thicket.plan.folders import MAKERS

CHARACTERS = frozenset("\n 0123456789+=abcdefghijklmnopqrstuvwxyz")
"""Those of `thicket.models.characters`; a test holds it to that."""
IN_WORDS = "line break, space, digits, + and =, a to z"


def unwritable(root: Path, stages: list[Resolved]) -> Iterator[Problem]:
    """The domains of which such a model could give no right answer, so that its stages would stop once they begin."""
    data = {one.stage.name: one for one in stages if isinstance(one.stage, DataStage)}
    for name, (domain, users) in _asked(stages).items():
        items = list(_items(root, data[name].stage)) if name in data else []
        if not items or any(CHARACTERS.issuperset(item.answer) for item in items):
            continue
        if wrong := _never_right(domain, items):
            where = data[name].layers.origin(("domain", "source", "answer"))
            yield Problem(where, "domain.source.answer", "", wrong, IN_WORDS, users=tuple(users))


def _asked(stages: list[Resolved]) -> dict[str, tuple[ScoredDomain, list[str]]]:
    """Domain → what is asked of such models in it, and the stages that do."""
    models: dict[str, Any] = {one.stage.name: one.stage for one in stages if one.kind in MAKERS}
    found: dict[str, tuple[ScoredDomain, list[str]]] = {}
    for one in stages:
        stage: Any = one.stage
        if _is_from_scratch(stage, models):
            for domain in [*getattr(stage, "domains", []), *([stage.domain] if hasattr(stage, "domain") else [])]:
                found.setdefault(domain.name, (domain, []))[1].append(f"{one.kind} {stage.name}")
    return found


def _is_from_scratch(stage: Any, models: dict[str, Any]) -> bool:
    """Whether the model that a stage trains or scores goes back to a base that is pretrained here."""
    model = models.get(stage.name) if isinstance(stage, EvaluateStage) else stage
    while isinstance(start := getattr(model, "base", None), str):
        model = models.get(start)
    return isinstance(model, BaseStage) and isinstance(model.base, PretrainedBase)


def _items(root: Path, stage: Stage) -> Iterator[Item]:
    """The items of local files that take no time to read; what is wrong with them their data stage says."""
    source = stage.domain.source if isinstance(stage, DataStage) else None
    files = [root / path for _, path in named_files(stage)]
    if isinstance(source, DatasetSource) and all(file.is_file() and file.stat().st_size <= LARGE for file in files):
        with suppress(ValueError, OSError):
            for raw in raw_items(source, stage.seed) if files else ():
                yield Item(item_id(raw.question), "", raw.answer, raw.level, raw.reference)


def _never_right(domain: ScoredDomain, items: list[Item]) -> str:
    """What a stage that asks the model would stop with; empty where it would not."""
    from thicket.models.characters import character_tokenizer
    from thicket.sampling.unknown import check_known

    try:
        with redirect_stdout(io.StringIO()):  # Its notes are about the items of a split.
            check_known(domain, "train", items, character_tokenizer())
    except ValueError as error:
        return str(error).removeprefix(f"domain {domain.name}: train: ")
    return ""
