"""Tries a plug-in's verifier before a stage begins: its mistakes would show after the training, where it judges."""

import json
from collections.abc import Sequence
from pathlib import Path

from thicket.config.domain import ScoredDomain
from thicket.config.places import DATA
from thicket.config.plugins import is_plugin
from thicket.config.stages import AnyStage, SpecialistStage
from thicket.domains.item import SPLIT_NAMES, Item
from thicket.domains.registry import judge_of

NO_ANSWER = "x?"
"""A text that answers nothing."""


def try_verifiers(root: Path, stage: AnyStage) -> None:
    """Has each plug-in's verifier of a stage judge three responses to an item; what it says counts for nothing.

    Raises: ValueError, over the error of the verifier's code, where it can't judge one.
    """
    domains = [stage.domain] if isinstance(stage, SpecialistStage) else getattr(stage, "domains", [])
    for domain in _scored(domains):
        if is_plugin(domain.verifier) and (item := _first_item(root / DATA / domain.name)):
            _try(domain, item)


def _scored(domains: Sequence[object]) -> list[ScoredDomain]:
    return [domain for domain in domains if isinstance(domain, ScoredDomain)]


def _try(domain: ScoredDomain, item: Item) -> None:
    responses = dict.fromkeys((item.answer, "", NO_ANSWER))
    try:
        judge_of(domain.verifier)([(response, item) for response in responses])
    except Exception as error:
        named = f"verifier {domain.verifier.type}, item {item.id}: {type(error).__name__}: {error}"
        said = str(error) if isinstance(error, ValueError) else named
        question = item.prompt if isinstance(item.prompt, str) else item.prompt[-1]["content"]
        tried = f"tried on {domain.name} before anything is trained or scored; the item's prompt: {question!r:.80}"
        raise ValueError(f"{said} ({tried})") from error


def _first_item(folder: Path) -> Item | None:
    """The first item of the first split that has one. Where the data is not as it should be, the stage says so."""
    for split in SPLIT_NAMES:
        try:
            with (folder / f"{split}.jsonl").open(encoding="utf-8") as file:
                return Item(**json.loads(file.readline()))
        except (OSError, ValueError, TypeError):
            continue
    return None
