"""Rows with options: where the options may lie, and labels that become letters."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from thicket.config.domain import Domain
from thicket.config.library import Library
from thicket.config.source import DatasetSource
from thicket.domains.item import RawItem
from thicket.domains.registry import raw_items

SHIPPED = Path(__file__).parents[2]
LISTS = {"choices": {"text": ["sun", "moon", "sea"], "label": ["A", "B", "C"]}, "key": "B"}
ASKED = "Which?\nA. sun\nB. moon\nC. sea"


def item(path: Path, row: dict[str, Any], **more: Any) -> RawItem:
    path.write_text(json.dumps([{"q": "Which?", **row}]))
    values = {"type": "dataset", "data_files": str(path), "question": "{q}\n{choices}", "answer": "{key}"}
    (made,) = raw_items(DatasetSource.model_validate({**values, **more}), 0)
    return made


@pytest.mark.parametrize(
    ("row", "choices"),
    [
        (LISTS, {"text": "choices.text", "label": "choices.label"}),
        ({"options": ["sun", "moon", "sea"], "key": 2}, {"text": "options"}),
        ({"a": "sun", "b": " moon ", "c": "sea", "key": "2"}, {"text": ["a", "b", "c"]}),
        (
            {"o": [{"t": "sun", "l": 7}, {"t": "moon", "l": 3.0}, {"t": "sea", "l": 9}], "key": "3"},
            {"text": "o.t", "label": "o.l"},
        ),
    ],
    ids=["lists in a column", "a list", "columns", "a list of columns"],
)
def test_where_the_options_are(row: dict[str, Any], choices: dict[str, Any], tmp_path: Path) -> None:
    made = item(tmp_path / "a.json", row, choices=choices)
    assert (made.question, made.answer) == (ASKED, "B")


@pytest.mark.parametrize(("labels", "key"), [("1234", "3"), ("4321", "2"), ("ABCD", "C"), ("wxyz", "y")])
def test_labels_become_letters_in_the_rows_order(labels: str, key: str, tmp_path: Path) -> None:
    row = {"choices": {"text": ["one", "two", "three", "four"], "label": list(labels)}, "key": key}
    made = item(tmp_path / "a.json", row, choices={"text": "choices.text", "label": "choices.label"})
    assert made.question == "Which?\nA. one\nB. two\nC. three\nD. four"
    assert made.answer == "C"


def test_texts_in_place_of_letters(tmp_path: Path) -> None:
    choices = {"text": "choices.text", "label": "choices.label", "answered": "text"}
    made = item(tmp_path / "a.json", LISTS, choices=choices)
    assert (made.question, made.answer) == ("Which?\n- sun\n- moon\n- sea", "moon")


def test_texts_are_not_for_the_verifier_of_letters() -> None:
    option = dict(Library(SHIPPED / "conf").option("domain", "arc-easy-text").value)
    assert Domain.model_validate(option).verifier.type == "exact"
    with pytest.raises(ValidationError, match="choice can't compare texts"):
        Domain.model_validate({**option, "verifier": {"type": "choice"}})


def test_an_option_that_looks_like_a_template_stays_as_it_is(tmp_path: Path) -> None:
    made = item(tmp_path / "a.json", {"o": ["{q}", "{choices}"], "key": 1}, choices={"text": "o"})
    assert made.question == "Which?\nA. {q}\nB. {choices}"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"choices": {"text": ["a", "b"], "label": ["A"]}}, "2 options and 1 labels; allowed: 2 to 26"),
        ({"choices": {"text": ["a"], "label": ["A"]}}, "1 options and 1 labels"),
        ({"choices": {"text": ["a", "b"], "label": ["A", "A"]}}, "two options have one label; labels: A, A"),
        ({"choices": {"text": ["a", "b"], "label": ["A", "C"]}}, "the answer 'B' is no option's label; labels: A, C"),
        ({"choices": {"text": "ab", "label": ["A", "B"]}}, "the column 'choices.text' holds 'ab'; allowed: a list"),
        ({"choices": {"text": ["a", ["b"]], "label": ["A", "B"]}}, "can't stand in a template: it holds ['b']"),
        ({"choices": ["a", "b"]}, "row 1: the column 'choices.label' can't stand in a template: it holds None"),
        ({}, "row 1: the column 'choices.text' is missing; columns: q, key"),
    ],
)
def test_rows_whose_options_do_not_fit(row: dict[str, Any], message: str, tmp_path: Path) -> None:
    choices = {"text": "choices.text", "label": "choices.label"}
    with pytest.raises(ValueError, match=re.escape(message)):
        item(tmp_path / "a.json", {"key": "B", **row}, choices=choices)


@pytest.mark.parametrize("more", [{"question": "{q}", "choices": {"text": "o"}}, {"question": "{q} {choices}"}])
def test_choices_and_their_place_belong_together(more: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="belong together"):
        DatasetSource.model_validate({"type": "dataset", "data_files": "a.json", "answer": "{key}", **more})
