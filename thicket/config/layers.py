"""Values with the origin of each: a tree of plain values, merged from layers, that remembers who set what."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Path_ = tuple[str | int, ...]


@dataclass
class Layered:
    """A mapping of plain values and, for each path that a layer set, that layer's name for itself."""

    value: dict[str, Any] = field(default_factory=dict)
    origins: dict[Path_, str] = field(default_factory=dict)

    def merge(self, value: Mapping[str, Any], origin: Callable[[Path_], str], at: Path_ = ()) -> Layered:
        """Lays `value` over what stands at the path `at`: mappings merge, everything else is replaced."""
        self._merge_into(_descend(self.value, at), value, origin, at)
        return self

    def _merge_into(
        self, target: dict[str, Any], value: Mapping[str, Any], origin: Callable[[Path_], str], at: Path_
    ) -> None:
        for key, new in value.items():
            path = (*at, key)
            known = target.get(key)
            if isinstance(new, Mapping) and isinstance(known, dict) and new:
                self._merge_into(known, new, origin, path)
                continue
            target[key] = copy.deepcopy(new)
            self._forget(path)
            self._note(path, new, origin)

    def graft(self, other: Layered, at: Path_) -> Layered:
        """Puts another tree, with its origins, at a path."""
        _descend(self.value, at[:-1])[str(at[-1])] = copy.deepcopy(other.value)
        self._forget(at)
        self.origins.update({(*at, *path): origin for path, origin in other.origins.items()})
        return self

    def origin(self, path: Path_) -> str:
        """Who set the value at a path, or the nearest part of the tree that it belongs to."""
        while path:
            if path in self.origins:
                return self.origins[path]
            path = path[:-1]
        return self.origins.get((), "(default)")

    def _note(self, path: Path_, value: Any, origin: Callable[[Path_], str]) -> None:
        self.origins[path] = origin(path)
        if isinstance(value, Mapping):
            for key, inner in value.items():
                self._note((*path, key), inner, origin)
        elif isinstance(value, list):
            for index, inner in enumerate(value):
                self._note((*path, index), inner, origin)

    def _forget(self, path: Path_) -> None:
        for known in [p for p in self.origins if p[: len(path)] == path]:
            del self.origins[known]


def _descend(value: dict[str, Any], at: Path_) -> dict[str, Any]:
    for key in at:
        inner = value.setdefault(str(key), {})
        if not isinstance(inner, dict):
            inner = value[str(key)] = {}
        value = inner
    return value


def at_path(value: Any, path: Path_) -> Any:
    """The value at a path, or None where there is none."""
    for key in path:
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def expanded(values: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted keys as nested mappings: `{method.optimizer.lr: 1}` → `{method: {optimizer: {lr: 1}}}`."""
    tree: dict[str, Any] = {}
    for key, value in values.items():
        *parents, last = str(key).split(".")
        inner = tree
        for parent in parents:
            inner = inner.setdefault(parent, {})
        value = expanded(value) if isinstance(value, Mapping) else value
        if isinstance(value, dict) and isinstance(inner.get(last), dict):
            inner[last] |= value
        else:
            inner[last] = value
    return tree
