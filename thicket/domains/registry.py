"""Finds the code of a source or a verifier by its `type`: one type, one module."""

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

from thicket.config.domain import Source, Verifier
from thicket.domains.item import Item, RawItem


def module_of(kind: str, type_name: str) -> str:
    """`sources`, `reasoning-gym` → `thicket.domains.sources.reasoning_gym`."""
    return f"thicket.domains.{kind}.{type_name.replace('-', '_')}"


def raw_items(source: Source, seed: int) -> Iterator[RawItem]:
    """The source's items in a fixed order for the seed; maybe endless, maybe with repeats."""
    return import_module(module_of("sources", source.type)).raw_items(source, seed)


def verifier_of(config: Verifier) -> Callable[[str, Item], bool]:
    """A function (response, item) → correct?"""
    module: Any = import_module(module_of("verifiers", config.type))
    return lambda response, item: module.verify(config, response, item)
