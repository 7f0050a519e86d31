"""Values with the origin of each: a tree of plain values, merged from layers, that remembers who set what."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from thicket.config.problems import ConfigError, Problem, dotted, shown

Path_ = tuple[str | int, ...]


@dataclass
class Layered:
    """A mapping of plain values and, for each path that a layer set, that layer's name for itself."""

    value: dict[Any, Any] = field(default_factory=dict)
    origins: dict[Path_, str] = field(default_factory=dict)

    def merge(self, value: Mapping[Any, Any], origin: Callable[[Path_], str], at: Path_ = ()) -> Layered:
        """Lays `value` over what stands at the path `at`: mappings merge, everything else is replaced."""
        self._merge_into(_descend(self.value, at), value, origin, at)
        return self

    def _merge_into(
        self, target: dict[Any, Any], value: Mapping[Any, Any], origin: Callable[[Path_], str], at: Path_
    ) -> None:
        for key, new in value.items():
            path = (*at, key)
            known = target.get(key)
            if isinstance(new, Mapping) and isinstance(known, dict):
                self._merge_into(known, new, origin, path)
                continue
            target[key] = copy.deepcopy(new)
            self._forget(path)
            self._note_all(path, new, origin)

    def graft(self, other: Layered, at: Path_) -> Layered:
        """Puts another tree, with its origins, at a path."""
        _descend(self.value, at[:-1])[at[-1]] = copy.deepcopy(other.value)
        self._forget(at)
        self.origins.update({(*at, *path): origin for path, origin in other.origins.items()})
        return self

    def note(self, origins: Mapping[Path_, str]) -> Layered:
        """Adds the origins of values that no layer holds."""
        self.origins.update(origins)
        return self

    def origin(self, path: Path_) -> str:
        """Who set the value at a path: of a mapping that was set in parts, the first of these; of what nobody set, the
        nearest part of the tree that it would belong to."""
        if path and path not in self.origins:
            inside = (known for known in self.origins if known[: len(path)] == path)
            path = next(inside, path)
        while path:
            if path in self.origins:
                return self.origins[path]
            path = path[:-1]
        return self.origins.get((), "(default)")

    def _note_all(self, path: Path_, value: Any, origin: Callable[[Path_], str]) -> None:
        self.origins[path] = origin(path)
        if isinstance(value, Mapping):
            for key, inner in value.items():
                self._note_all((*path, key), inner, origin)
        elif isinstance(value, list):
            for index, inner in enumerate(value):
                self._note_all((*path, index), inner, origin)

    def _forget(self, path: Path_) -> None:
        for known in [p for p in self.origins if p[: len(path)] == path]:
            del self.origins[known]


def leaves(value: Any, at: Path_ = ()) -> list[tuple[Path_, Any]]:
    """Every value that is not a mapping or a list of mappings, with its path."""
    if isinstance(value, dict) and value:
        return [leaf for key, inner in value.items() for leaf in leaves(inner, (*at, key))]
    if isinstance(value, list) and any(isinstance(inner, dict) for inner in value):
        return [leaf for index, inner in enumerate(value) for leaf in leaves(inner, (*at, index))]
    return [(at, value)]


def _descend(value: dict[Any, Any], at: Path_) -> dict[Any, Any]:
    """The mapping at a path, made where there is none."""
    for key in at:
        if not isinstance(value.get(key), dict):
            value[key] = {}
        value = value[key]
    return value


def at_path(value: Any, path: Path_) -> Any:
    """The value at a path, or None where there is none."""
    for key in path:
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def expanded(values: Mapping[Any, Any], at: Path_, origin: Callable[[Path_], str]) -> Layered:
    """Dotted keys as nested mappings: `{method.optimizer.lr: 1}` → `{method: {optimizer: {lr: 1}}}`.

    `at` is where the values stand, and `origin` says who wrote what stands at a path.
    Raises: ConfigError where a key is given as a whole and in parts.
    """
    layers = Layered(origins={(): origin(at)} if values else {})  # Looking for what nobody wrote takes longest.
    for path, written, value in _leaves(values, (), at):
        if _taken(layers.value, path):
            wrong = "given twice, as a whole and in parts"
            raise ConfigError([Problem(origin(written), dotted(written), shown(value), wrong)])
        layers.merge(
            {path[-1]: value},
            lambda inner, written=written, path=path: origin((*written, *inner[len(path) :])),
            path[:-1],
        )
    return layers


def _leaves(values: Mapping[Any, Any], path: Path_, written: Path_) -> Iterator[tuple[Path_, Path_, Any]]:
    """Every value that is not a mapping: its path with dotted keys taken apart, its path as written, and itself."""
    for key, value in values.items():
        inner = (*path, *(key.split(".") if isinstance(key, str) else (key,)))
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, inner, (*written, key))
        else:
            yield inner, (*written, key), value


def _taken(value: Any, path: Path_) -> bool:
    """Whether something stands at a path already, or at one of the parts that it belongs to."""
    for key in path:
        if not isinstance(value, dict):
            return True
        if key not in value:
            return False
        value = value[key]
    return True
