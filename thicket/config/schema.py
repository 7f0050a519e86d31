"""The schema as JSON Schema: what may stand at a place, for messages and for editors."""

from collections.abc import Iterable
from functools import cache
from typing import Any, get_args

from pydantic import BaseModel, TypeAdapter

from thicket.config.problems import nearest

Node = dict[str, Any]
DIALECT = "https://json-schema.org/draft/2020-12/schema"
"""What pydantic writes."""
DEFAULTS: Node = {
    "type": "array",
    "items": {"type": "string"},
    "description": "Options of the same group to start from, and `_self_`, the place of this file's own values.",
}
"""Hydra's defaults list, which every option may have."""


def members(union: Any) -> list[type[BaseModel]]:
    """The models of a union of models, or of a single one."""
    return [union] if isinstance(union, type) else [model for part in get_args(union) for model in members(part)]


def tags(union: Any) -> list[str]:
    """The values of `type` in a union of models."""
    return [tag for model in members(union) for tag in get_args(model.model_fields["type"].annotation)]


@cache
def _json_schema(model: type[BaseModel]) -> Node:
    return model.model_json_schema()


def schema_at(model: type[BaseModel], loc: Iterable[str | int]) -> Node:
    """The part of the schema that a location of pydantic's leads to; of an unknown key, the mapping that holds it."""
    whole = _json_schema(model)
    node = whole
    for part in loc:
        inner = _step(node, part, whole)
        if inner is None:
            break
        node = inner
    return {**node, "$defs": whole.get("$defs", {})}


def _step(node: Node, part: str | int, whole: Node) -> Node | None:
    """The schema one step down: a property, an element, a mapping's value, or a union's member; None: no such step."""
    mapping = node.get("discriminator", {}).get("mapping", {})
    if part in properties(node):
        return _resolved(node["properties"][part], whole)
    if part in mapping:
        return _resolved({"$ref": mapping[part]}, whole)
    if isinstance(part, int) and "items" in node:
        return _resolved(node["items"], whole)
    for values in (node.get("additionalProperties"), *node.get("patternProperties", {}).values()):
        if isinstance(values, dict):
            return _resolved(values, whole)
    return None


def _resolved(node: Node, whole: Node) -> Node:
    """A node without its reference; of alternatives (`anyOf`), the only one that has an inside."""
    while "$ref" in node:
        node = whole["$defs"][node["$ref"].rsplit("/", 1)[1]]
    inside = [member for member in node.get("anyOf", []) if member.get("type") not in ("null", "string")]
    return _resolved(inside[0], whole) if len(inside) == 1 else node


def properties(node: Node) -> Node:
    return node.get("properties", {})


def nearest_key(key: str, schema: Node) -> str:
    """The known key that an unknown one was most likely meant to be: maybe one that stands a level deeper."""
    deeper = {
        f"{name}.{inner}": inner
        for name, node in properties(schema).items()
        for inner in properties(_resolved(node, schema))
    }
    exact = next((path for path, inner in deeper.items() if inner == key), "")
    return exact or nearest(key, sorted(properties(schema)))


def for_editors(union: Any, options: bool) -> Node:
    """The JSON Schema of a model or a union, as an editor takes it.

    `options`: the file is an option of conf/, which may take what it leaves out from those of its `defaults` list.
    """
    whole = TypeAdapter(union).json_schema()
    for model in dict.fromkeys(members(union)) if options else ():
        node = whole["$defs"].get(model.__name__, whole) if "$defs" in whole else whole
        node["properties"] = {"defaults": DEFAULTS, **node["properties"]}
        node["anyOf"] = [{"required": node.pop("required", [])}, {"required": ["defaults"]}]
    if options:
        _any_of(whole)  # what leaves its type to its defaults may fit several
    return {"$schema": DIALECT, **whole}


def _any_of(node: Node) -> None:
    """Lets a union's value fit several of its members."""
    for inner in node.get("anyOf", []):
        _any_of(inner)
    if "oneOf" in node:
        node["anyOf"] = node.pop("oneOf")
