"""JSON Schemas for editors: valid, complete, and true to what thicket accepts."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from commands import Command
from pydantic import BaseModel

from thicket.config.described import description
from thicket.config.fields import FORMS, NAME_PATTERN, Strict
from thicket.config.library import EXPERIMENTS, GROUPS, Library
from thicket.config.schema import DIALECT, members
from thicket.config.stages import STAGE_TYPES
from thicket.config.yamlfile import read_yaml
from thicket.plan.inspect import SCHEMAS

CONF = Path(__file__).parents[2] / "conf"
FILES = [
    *((group, CONF / group / f"{name}.yaml") for group in GROUPS for name in Library(CONF).options(group)),
    *(("params", CONF / EXPERIMENTS / f"{name}.yaml") for name in Library(CONF).options(EXPERIMENTS)),
    ("params", CONF.parent / "params.yaml"),
    ("params", Path(__file__).parents[1] / "sample" / "params.yaml"),
    ("method", Path(__file__).parents[1] / "sample" / "conf/method/grpo-gentle.yaml"),
]


def schema(kind: str, command: Command) -> dict[str, Any]:
    said = command("config", "schema", kind)
    assert (said.status, said.err) == (0, "")
    return json.loads(said.out)


def test_every_group_has_one() -> None:
    assert set(SCHEMAS) == {"params", *GROUPS}


@pytest.mark.parametrize("kind", SCHEMAS)
def test_it_is_valid(kind: str, command: Command) -> None:
    validators = pytest.importorskip("jsonschema")
    made = schema(kind, command)
    assert made["$schema"] == DIALECT
    validators.Draft202012Validator.check_schema(made)


def patterns(node: Any) -> Iterator[str]:
    """Every pattern in a JSON Schema."""
    for key, inner in node.items() if isinstance(node, dict) else enumerate(node if isinstance(node, list) else ()):
        yield from [inner] if key == "pattern" else inner if key == "patternProperties" else ()
        yield from patterns(inner)


def test_messages_tell_every_pattern_in_words(command: Command) -> None:
    found = {pattern for kind in SCHEMAS for pattern in patterns(schema(kind, command))}
    assert NAME_PATTERN in found
    assert found - FORMS.keys() == set()


@pytest.mark.parametrize(("kind", "path"), FILES, ids=lambda value: getattr(value, "stem", value))
def test_it_accepts_what_ships(kind: str, path: Path, command: Command) -> None:
    validators = pytest.importorskip("jsonschema")
    value = read_yaml(path, path.name).value
    wrong = [error.message for error in validators.Draft202012Validator(schema(kind, command)).iter_errors(value)]
    assert [message for message in wrong if "???" not in message] == []


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("method", {"type": "grpo", "steps": 1}),
        ("method", {"type": "gpro"}),
        ("sampler", {"type": "torch", "batch": 0}),
        ("evaluation", {"samples": 4, "ks": [1], "sample": 3}),
        ("params", {"experiment": "x", "domains": [], "bases": {}}),
    ],
)
def test_it_refuses_what_thicket_refuses(kind: str, value: dict[str, Any], command: Command) -> None:
    validators = pytest.importorskip("jsonschema")
    assert not validators.Draft202012Validator(schema(kind, command)).is_valid(value)


def test_an_option_may_take_the_rest_from_another(command: Command) -> None:
    made = schema("evaluation", command)
    assert {"required": ["defaults"]} in made["anyOf"]
    assert made["properties"]["defaults"]["type"] == "array"
    assert "defaults" not in schema("params", command)["properties"]


def test_an_unknown_one(command: Command) -> None:
    said = command("config", "schema", "methods")
    assert (said.status, said.out) == (2, "")
    assert said.err.startswith("command line: schema = 'methods': there is no such schema\n")
    assert "did you mean: method\n" in said.err


# -- descriptions ------------------------------------------------------------------------------------------------------


def models() -> list[type[BaseModel]]:
    """Every model that a config file may hold."""
    found: list[type[BaseModel]] = []
    waiting = [model for union in (*SCHEMAS.values(), *STAGE_TYPES.values()) for model in members(union)]
    while waiting:
        model = waiting.pop()
        if model not in found:
            found.append(model)
            fields = (field.annotation for field in model.model_fields.values())
            waiting += [inner for annotation in fields for inner in members(annotation) if _is_schema(inner)]
    return sorted(found, key=lambda model: model.__qualname__)


def _is_schema(model: object) -> bool:
    return isinstance(model, type) and issubclass(model, Strict)


@pytest.mark.parametrize("model", models(), ids=lambda model: model.__name__)
def test_every_part_and_every_value_says_what_it_is(model: type[BaseModel]) -> None:
    """A value that is a part of its own is described there, and `type` by the part that it belongs to."""
    assert model.__doc__
    silent = [
        name
        for name, field in model.model_fields.items()
        if not description(model, name)
        and name not in ("type", "stage")
        and not any(_is_schema(inner) for inner in members(field.annotation))
    ]
    assert silent == []
