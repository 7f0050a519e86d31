"""Turns pydantic's errors into problems that name the origin of the value, what is allowed, and the nearest match."""

import math
import re
from collections.abc import Iterator
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from thicket.config.fields import FORMS
from thicket.config.layers import Layered, Path_, at_path
from thicket.config.plugins import none_of
from thicket.config.problems import ConfigError, Problem, dotted, nearest, shown
from thicket.config.schema import nearest_key, properties, schema_at

Model = TypeVar("Model", bound=BaseModel)
OPEN = "???"
"""OmegaConf's mark of a value that has to be given."""
UNKNOWN, MISSING = "unknown key", "a value is missing"
TAG = "type"
"""The key that says which member of a union a mapping is."""
_KEY = "[key]"
"""The end of pydantic's location of a key that is at fault itself."""

_BOUNDS = {
    "greater_than": ("more than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
    "too_short": ("at least", "min_length"),
    "too_long": ("at most", "max_length"),
}
_TYPES = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "text",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}
_PYTHON_TYPES = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}
"""Type of a value → what JSON Schema calls it."""


def validate(model: type[Model], layers: Layered, user: str = "", prefix: Path_ = ()) -> Model:
    """The validated model of a tree of values.

    `user` is the stage whose config holds the values; `prefix` goes before each path in a message.
    Raises: ConfigError with every problem that there is.
    """
    users = (user,) if user else ()
    refused = [
        Problem(layers.origin(path), dotted((*prefix, *path)), shown(at_path(layers.value, path)), wrong, users=users)
        for path, wrong in _refused(layers)
    ]
    paths = {problem.path for problem in refused}
    try:
        made = model.model_validate(layers.value)
    except ValidationError as error:
        found = [_problem(model, detail, layers, users, prefix) for detail in error.errors()]
        raise ConfigError([*refused, *(p for p in _without_echoes(found) if p.path not in paths)]) from None
    if refused:
        raise ConfigError(refused)
    return made


def _refused(layers: Layered) -> Iterator[tuple[Path_, str]]:
    """Values that no schema may let through."""
    for path in layers.origins:
        value = at_path(layers.value, path)
        if path and path[-1] == "_target_":
            yield path, "a config holds values and can't name code to run"
        elif value == OPEN:
            yield path, "a value has to be given: the option leaves it open"
        elif isinstance(value, str) and "${" in value:
            yield path, "interpolations (${…}) are not resolved here: write the value itself"


def _without_echoes(problems: list[Problem]) -> list[Problem]:
    """One problem for one fault: a misspelt key is not missing too, and where the type is wrong no other key counts."""
    meant = {(*p.place[:-1], p.nearest) for p in problems if p.wrong == UNKNOWN and p.nearest}
    untyped = {p.place[:-1] for p in problems if p.place and p.place[-1] == TAG}
    return [
        p
        for p in problems
        if not (p.wrong == MISSING and p.place in meant)
        and not any(p.place[: len(at)] == at and p.place != (*at, TAG) for at in untyped)
    ]


def _problem(
    model: type[BaseModel], detail: ErrorDetails, layers: Layered, users: tuple[str, ...], prefix: Path_
) -> Problem:
    kind, message = detail["type"], detail["msg"].removeprefix("Value error, ")
    path = _value_path(detail["loc"], layers.value, kind)
    if kind == "value_error":
        path = _about(message, path, at_path(layers.value, path))
    given = at_path(layers.value, path)
    schema = schema_at(model, detail["loc"])
    wrong, allowed, close = _words(detail, message, path, schema)
    if wrong == UNKNOWN and not close:
        close = _left_open(given, at_path(layers.value, path[:-1]), schema)
    hidden = wrong == MISSING or detail["loc"][-1:] == (_KEY,) or (isinstance(given, dict) and kind not in _TYPES)
    return Problem(
        where=layers.origin(path),
        path=dotted((*prefix, *path)),
        given="" if hidden else shown(given),
        wrong=wrong,
        allowed=allowed,
        nearest=close,
        users=users,
        place=path,
    )


def _words(detail: ErrorDetails, message: str, path: Path_, schema: dict[str, Any]) -> tuple[str, str, str]:
    """What is wrong, what is allowed, the nearest match."""
    kind, context, given = detail["type"], detail.get("ctx", {}), detail["input"]
    if kind == "extra_forbidden":
        return UNKNOWN, ", ".join(sorted(properties(schema))), nearest_key(str(path[-1]), schema)
    if kind == "missing":
        return MISSING, "", ""
    if kind == "literal_error":
        options = re.findall(r"'([^']*)'", context["expected"])
        return "not one of the options", ", ".join(options), nearest(given, options)
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        tags = list(schema["discriminator"]["mapping"])
        wrong = MISSING if kind == "union_tag_not_found" else f"not one of the options{none_of(tags)}"
        return wrong, ", ".join(tags), nearest(context.get("tag", ""), tags)
    if kind in _TYPES:
        close = _unquoted(given) if "number" in _TYPES[kind] else ""
        return f"wrong type: it is {_type_name(given)}", _TYPES[kind], close
    if kind in _BOUNDS:
        words, key = _BOUNDS[kind]
        entries = f" entries (there are {context['actual_length']})" if "actual_length" in context else ""
        return "out of range", f"{words} {context[key]}{entries}", ""
    if kind == "finite_number":
        return "not a finite number", "", ""
    if kind == "string_pattern_mismatch":
        pattern = context["pattern"]
        return "not of the required form", FORMS.get(pattern, f"text that matches {pattern}"), ""
    return message, "", ""


def _left_open(given: Any, beside: dict[str, Any], schema: dict[str, Any]) -> str:
    """Which value an unknown key was meant to give: the only one of its type that the option leaves open."""
    kind, fields = _PYTHON_TYPES.get(type(given)), properties(schema)
    fitting = [key for key, value in beside.items() if value == OPEN and fields.get(key, {}).get("type") == kind]
    return fitting[0] if len(fitting) == 1 else ""


def _type_name(value: Any) -> str:
    names = {str: "text", bool: "true or false", int: "a whole number", float: "a number", list: "a list"}
    return "no value" if value is None else names.get(type(value), "a mapping")


def _unquoted(value: Any) -> str:
    """The number that a text in quotes was meant to be."""
    try:
        return f"{value}, without quotes" if isinstance(value, str) and math.isfinite(float(value)) else ""
    except ValueError:
        return ""


def _value_path(loc: tuple[str | int, ...], value: Any, kind: str) -> Path_:
    """The path of the value itself: pydantic's location without the tags of unions."""
    path: list[str | int] = []
    tagged = False
    for index, part in enumerate(loc):
        if isinstance(value, dict) and part == value.get(TAG) and not tagged:  # It may be the name of a key as well.
            tagged = True
            continue
        holds = (isinstance(value, dict) and part in value) or (isinstance(value, list) and isinstance(part, int))
        if holds:
            path.append(part)
            value, tagged = at_path(value, (part,)), False
        elif kind == "missing" and index == len(loc) - 1:
            path.append(part)
    return (*path, TAG) if kind.startswith("union_tag") else tuple(path)


def _about(message: str, path: Path_, value: Any) -> Path_:
    """The value that a check of a whole part is about: the first in backticks, as in "`optimizer.lr` has to be …"."""
    for quoted in re.findall(r"`([^`]+)`", message):
        inner = tuple(quoted.partition(":")[0].split("."))
        if at_path(value, inner) is not None:
            return (*path, *inner)
    return path
