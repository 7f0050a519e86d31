"""What is said of fields stands under them in the source, and is read there when somebody asks."""

from thicket.config.described import description
from thicket.config.fields import Strict


class _Parent(Strict):
    """A part."""

    first: int
    """Of
    two lines."""
    silent: int = 0
    of_another: int = 1
    """As the parent has it."""


class _Child(_Parent):
    """Another."""

    of_another: int = 2
    second: int = 3
    """Its own."""


def test_by_name_with_those_of_parents() -> None:
    found = [description(_Child, name) for name in ("first", "silent", "of_another", "second", "unknown")]
    assert found == ["Of\ntwo lines.", None, None, "Its own.", None]


def test_a_json_schema_has_them() -> None:
    properties = _Child.model_json_schema()["properties"]
    assert properties["first"] == {"description": "Of\ntwo lines.", "title": "First", "type": "integer"}
    assert "description" not in properties["of_another"]


def test_a_class_without_a_source_says_nothing() -> None:
    made = type("Made", (_Parent,), {"__annotations__": {"third": int}, "third": 4})
    assert description(made, "third") is None
