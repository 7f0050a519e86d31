"""Values between the program's process and the tests': plain data as JSON can hold it, never code or objects."""

from __future__ import annotations

import types

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

SMALL = 1 << 62
"""Larger whole numbers travel as hexadecimal digits: Python refuses to write long ones in decimal."""
SERIES: dict[str, Any] = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset, "iterator": iter}
"""Name → what makes it out of its items; an iterator stays one, so that it still equals no list."""
ITERATORS = (types.GeneratorType, map, filter, zip, reversed, enumerate, range, type({}.keys()), type({}.values()))
TYPES = {kind.__name__: kind for kind in (bool, int, float, complex, str, bytes, list, tuple, dict, set, frozenset)}
KINDS = {name: ITERATORS if name == "iterator" else kind for name, kind in SERIES.items()}


def encode(value: Any, keep: Callable[[Any], int]) -> Any:
    """A value as JSON can hold it; `keep` gives a number to whatever is no plain data."""
    if value is None or isinstance(value, bool | str | float):
        return value
    if isinstance(value, int):
        return int(value) if -SMALL < value < SMALL else {"int": hex(value)}
    if isinstance(value, complex):
        return {"complex": [value.real, value.imag]}
    if isinstance(value, bytes | bytearray):
        return {"bytes": value.hex()}
    if isinstance(value, dict):
        return {"dict": [[encode(key, keep), encode(item, keep)] for key, item in value.items()]}
    if isinstance(value, type):
        return {"type": value.__name__} if TYPES.get(value.__name__) is value else {"remote": keep(value)}
    for name, kind in KINDS.items():
        if isinstance(value, kind):
            return {name: [encode(item, keep) for item in value]}
    return {"remote": keep(value)}


def decode(sent: Any, remote: Callable[[int], Any]) -> Any:
    """The value that `encode` was given; `remote` makes what stands for no plain data out of its number."""
    if not isinstance(sent, dict):
        return sent
    ((name, value),) = sent.items()
    if name == "int":
        return int(value, 16)
    if name == "complex":
        return complex(*value)
    if name == "bytes":
        return bytes.fromhex(value)
    if name == "type":
        return TYPES[value]
    if name == "dict":
        return {decode(key, remote): decode(item, remote) for key, item in value}
    if name == "remote":
        return remote(value)
    return SERIES[name](decode(item, remote) for item in value)
