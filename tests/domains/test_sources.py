"""Sources that read files, and those that make prompts with instructions."""

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from thicket.config.domain import Domain
from thicket.config.source import DatasetSource, IfevalSource
from thicket.domains.instructions import follows
from thicket.domains.item import RawItem
from thicket.domains.registry import raw_items


def dataset(path: Path, **values: Any) -> Iterator[RawItem]:
    source = {"type": "dataset", "data_files": str(path), "question": "{Body} {Question}", "answer": "{Answer}"}
    return raw_items(DatasetSource(**{**source, **values}), 0)


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    written = [
        {"Body": f"Ann has {n} apples.", "Question": "How many?", "Answer": float(n), "Grade": n % 3} for n in range(5)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in written))
    return path


def test_rows_become_items(rows: Path) -> None:
    items = sorted(dataset(rows, level="Grade"), key=lambda item: item.question)
    assert items[3] == RawItem("Ann has 3 apples. How many?", "3", 0)
    assert len(items) == 5


@pytest.mark.parametrize(
    ("verifier", "needs"),
    [("code", "one of tests, check, functional, stdin"), ("countdown", "numbers, target")],
)
def test_a_verifier_needs_its_reference(rows: Path, verifier: str, needs: str) -> None:
    def domain(reference: dict[str, str]) -> Domain:
        source = {"type": "dataset", "data_files": str(rows), "question": "{Body}", "reference": reference}
        window = {"prompt": 20, "response": 20}
        return Domain.model_validate({"name": "d", "source": source, "verifier": {"type": verifier}, "window": window})

    with pytest.raises(ValidationError, match=f"needs in `source.reference`: {needs}"):
        domain({"numbers": "Grade"})
    assert domain({"stdin": "Body"} if verifier == "code" else {"numbers": "Grade", "target": "Answer"})


def test_a_level_within_a_text(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    grades = {"Level 5": 5, "Level-5": 5, "7": 7, "-1": -1, "Level ?": 0}
    for grade, level in grades.items():
        path.write_text(json.dumps({"Body": "b", "Question": "q", "Answer": "4", "Grade": grade}))
        assert next(dataset(path, level="Grade")).level == level


def test_the_answer_within_the_answer_column(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"Body": "b", "Question": "q", "Answer": "so 2+2=4\n#### 4"}))
    assert next(dataset(path, answer_pattern="#### (.*)")).answer == "4"
    with pytest.raises(ValueError, match="answer_pattern"):
        next(dataset(path, answer_pattern="is: (.*)"))


def test_a_missing_column_names_those_that_there_are(rows: Path) -> None:
    with pytest.raises(ValueError, match=r"Bodi(.|\n)*Body"):
        next(dataset(rows, question="{Bodi}"))


def test_a_question_asks_for_a_column() -> None:
    """Without braces it would be the same text in every row."""
    with pytest.raises(ValidationError, match=r"`question` \('q'\) names no column in braces, as \{question\}"):
        DatasetSource.model_validate({"type": "dataset", "data_files": "a.json", "question": "q", "answer": "{a}"})


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.csv"])
def test_of_many_bad_rows_the_first_is_named_and_all_are_counted(tmp_path: Path, name: str) -> None:
    """The first of the file, in whatever order its rows are drawn."""
    answers = ["4", "", " ", "4", None, ""]
    rows = [{"Body": f"b{n}", "Question": "q", "Answer": answer} for n, answer in enumerate(answers)]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    if name.endswith("csv"):
        text = "Body,Question,Answer\n" + "".join(f"{row['Body']},q,{row['Answer'] or ''}\n" for row in rows)
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ValueError, match=r"row 2: the answer is empty \(the first of 4 bad rows, of 6\)$"):
        list(dataset(path))
    path.write_text(text.replace("4", "").replace("null", '""'))
    with pytest.raises(ValueError, match=r"row 1: the answer is empty \(the first of 6 bad rows, of 6\)$"):
        list(dataset(path))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"nowhere\.jsonl"):
        next(dataset(tmp_path / "nowhere.jsonl"))


def test_made_prompts_can_be_followed_and_are_the_same_in_every_run() -> None:
    source = IfevalSource(type="ifeval", kinds=["punctuation:no_comma", "detectable_format:title"], levels=[1, 2])
    items, again = (list(islice(raw_items(source, 0), 20)) for _ in range(2))
    assert items == again
    for item in items:
        instructions = item.reference["instructions"]
        assert len(instructions) == item.level
        assert all(follows("<<Title>> no more", i["kind"], i["arguments"], False) for i in instructions)


def test_prompts_of_a_file_are_kept_by_kind(tmp_path: Path) -> None:
    path = tmp_path / "input.jsonl"
    written = [
        {"key": 1, "prompt": "No commas.", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]},
        {"key": 2, "prompt": "A title.", "instruction_id_list": ["detectable_format:title"], "kwargs": [{}]},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in written))
    source = IfevalSource(type="ifeval", data_files=str(path), kinds=["detectable_format:title"])
    (item,) = raw_items(source, 0)
    assert item.question == "A title."
