"""The pages that are made of docstrings."""

from pathlib import Path

from thicket.config.described import description
from thicket.config.library import Library
from thicket.config.method import SpecialistMethod, StudentMethod
from thicket.config.schema import members, tags
from thicket.plan.pages import pages

ROOT = Path(__file__).parents[2]


def test_the_committed_pages_are_what_the_docstrings_say() -> None:
    for name, text in pages(Library(ROOT / "conf")).items():
        assert (ROOT / "docs" / name).read_text(encoding="utf-8") == text, "run `thicket config pages`"


def test_every_method_has_its_source_and_its_fields() -> None:
    text = pages(Library(ROOT / "conf"))["methods.md"]
    for model in [*members(SpecialistMethod), *members(StudentMethod)]:
        (tag,) = tags(model)
        part = text.split(f"### `{tag}`")[1].split("### ")[0]
        assert "Options: `" in part, tag
        assert "arXiv" in part, tag
    assert all(description(model, n) for model in members(SpecialistMethod) for n in model.model_fields if n != "type")


def test_every_field_of_every_page_has_a_meaning() -> None:
    for name, text in pages(Library(ROOT / "conf")).items():
        empty = [line for line in text.splitlines() if line.startswith("| `") and line.endswith("|  |")]
        assert empty == [], name
