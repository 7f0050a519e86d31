"""Turns pydantic's errors into problems that name the origin of the value, what is allowed, and the nearest match."""

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from thicket.config.layers import Layered, at_path
from thicket.config.problems import ConfigError, Problem, dotted, nearest

Model = TypeVar("Model", bound=BaseModel)
MISSING = "???"
"""OmegaConf's mark of a value that has to be given."""

_BOUNDS = {
    "greater_than": ("more than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
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


def validate(model: type[Model], layers: Layered, user: str, prefix: str = "") -> Model:
    """The validated model of a tree of values.

    `user` is the stage (or file) that holds the values; `prefix` goes before each path in a message.
    Raises: ConfigError with every problem that pydantic found.
    """
    blanks = [path for path in layers.origins if at_path(layers.value, path) == MISSING]
    if blanks:
        wrong = "a value has to be given: the option leaves it open"
        raise ConfigError(
            [Problem(layers.origin(path), prefix + dotted(path), MISSING, wrong, users=(user,)) for path in blanks]
        )
    try:
        return model.model_validate(layers.value)
    except ValidationError as error:
        raise ConfigError([_problem(model, detail, layers, user, prefix) for detail in error.errors()]) from None


def _problem(model: type[BaseModel], detail: ErrorDetails, layers: Layered, user: str, prefix: str) -> Problem:
    path = _value_path(detail["loc"], layers.value, missing_last=detail["type"] == "missing")
    known = _keys_at(model, detail, layers.value)
    given = at_path(layers.value, path)
    wrong, allowed, close = _words(detail, known, path)
    return Problem(
        where=layers.origin(path),
        path=prefix + dotted(path),
        given="" if detail["type"] == "missing" or isinstance(given, dict) else repr(given),
        wrong=wrong,
        allowed=allowed,
        nearest=close,
        users=(user,),
    )


def _words(detail: ErrorDetails, known: list[str], path: tuple[str | int, ...]) -> tuple[str, str, str]:
    """What is wrong, what is allowed, the nearest match."""
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        return "unknown key", ", ".join(known), nearest(path[-1], known)
    if kind == "missing":
        return "a value is missing", "", ""
    if kind in ("literal_error", "union_tag_invalid"):
        options = str(context.get("expected") or context.get("expected_tags")).replace(" or ", ", ").split(", ")
        words = [option.strip("'") for option in options]
        value = context.get("tag", detail["input"])
        return "not one of the options", ", ".join(words), nearest(value, words)
    if kind == "union_tag_not_found":
        return "`type` is missing: it says which kind this is", "", ""
    if kind in _BOUNDS:
        words_, key = _BOUNDS[kind]
        return "out of range", f"{words_} {context[key]}", ""
    if kind in _TYPES:
        return f"wrong type ({_type_name(detail['input'])})", _TYPES[kind], ""
    if kind == "finite_number":
        return "not a finite number", "", ""
    if kind == "string_pattern_mismatch":
        return "not of the required form", f"text that matches {context['pattern']}", ""
    if kind in ("too_short", "too_long"):
        bound = (
            f"at least {context.get('min_length')}" if kind == "too_short" else f"at most {context.get('max_length')}"
        )
        return "wrong number of entries", f"{bound} (there are {context['actual_length']})", ""
    return detail["msg"].removeprefix("Value error, "), "", ""


def _type_name(value: Any) -> str:
    names = {str: "text", bool: "true or false", int: "a whole number", float: "a number", list: "a list"}
    return "nothing" if value is None else names.get(type(value), "a mapping")


def _value_path(loc: tuple[str | int, ...], value: Any, missing_last: bool) -> tuple[str | int, ...]:
    """The path of the value itself: pydantic's location without the tags of unions."""
    path: list[str | int] = []
    for index, part in enumerate(loc):
        last = index == len(loc) - 1
        holds = (isinstance(value, dict) and part in value) or (isinstance(value, list) and isinstance(part, int))
        if holds:
            path.append(part)
            value = value[part]
        elif missing_last and last:
            path.append(part)
    return tuple(path)


def _keys_at(model: type[BaseModel], detail: ErrorDetails, value: Any) -> list[str]:
    """The keys that the schema knows where an unknown one was found."""
    if detail["type"] != "extra_forbidden":
        return []
    schema: Any = model.model_json_schema()
    definitions = schema.get("$defs", {})
    node: Any = schema
    for part in detail["loc"][:-1]:
        node = _step(_resolve(node, definitions), part, definitions)
    return sorted(_resolve(node, definitions).get("properties", {}))


def _resolve(node: Any, definitions: dict[str, Any]) -> Any:
    while "$ref" in node:
        node = definitions[node["$ref"].rsplit("/", 1)[1]]
    return node


def _step(node: Any, part: str | int, definitions: dict[str, Any]) -> Any:
    """The schema one step down: a property, an element, a mapping's value, or a union's member."""
    if isinstance(part, int):
        return node.get("items", {})
    if part in node.get("properties", {}):
        return node["properties"][part]
    mapping = node.get("discriminator", {}).get("mapping", {})
    if part in mapping:
        return {"$ref": mapping[part]}
    for member in [*node.get("anyOf", []), *node.get("oneOf", [])]:
        resolved = _resolve(member, definitions)
        if resolved.get("title") == part or part in resolved.get("properties", {}):
            return resolved if resolved.get("title") == part else resolved["properties"][part]
    extra = node.get("additionalProperties")
    return extra if isinstance(extra, dict) else node
