"""Data sets with bad rows: the message names the file, the row and the column, and nothing is published."""

import json
from pathlib import Path
from typing import Any

import pytest
from commands import Run
from toys import changed, stages

from thicket.config.source import DatasetSource
from thicket.domains.item import item_id, split_of
from thicket.stages.run import in_pipeline

GOOD = [{"q": f"What is {number} + 1?", "a": str(number + 1)} for number in range(400)]
"""Rows enough that a bad one lies far behind what is read at once."""
PLACE = 301
"""The bad row's number, counted from 1."""
MANY = 1_000_000


def line(**columns: Any) -> bytes:
    return json.dumps({"q": "What is 7 + 1?", "a": "8", **columns}).encode()


BAD = {
    "no column": (b'{"q": "What?"}', "the column 'a' is missing; columns: q"),
    "null": (line(a=None), "the column 'a' is empty; columns: q, a"),
    "a list": (line(q=["What", "is"]), "the column 'q' can't stand in a template: it holds ['What', 'is']"),
    "a mapping": (line(a={"is": 8}), "the column 'a' can't stand in a template: it holds {'is': 8}"),
    "NaN": (line(a=float("nan")), "the column 'a' can't stand in a template: it holds nan"),
    "an empty question": (line(q=" "), "the question is empty"),
    "an empty answer": (line(a=""), "the answer is empty"),
    "half a character": (line(q="\ud800"), "the column 'q' can't be written as UTF-8 JSON"),
    "not a mapping": (b'["What?", "8"]', "not a mapping of columns to values, but ['What?', '8']"),
}
UNREADABLE = {
    "broken JSON": (b'{"q": "What?", "a": ', "Expecting value"),
    "two in a line": (line() + line(), "Extra data"),
    "not UTF-8": (line(q="What?").replace(b"What", b"\xff\xfe"), "can't decode byte 0xff"),
    "nested too deep": (b"[" * 100_000, "recursion"),
}


def made(project: Path, said: Run, rows: list[bytes]) -> tuple[Any, Path]:
    path = project / "rows.jsonl"
    path.write_bytes(b"\n".join(rows) + b"\n")
    stage = stages(project)["data-sort"]
    source = DatasetSource(type="dataset", data_files=str(path), question="{q}", answer="{a}")
    domain = stage.domain.model_copy(update={"source": source})
    stage = changed(stage.model_copy(update={"domain": domain}), "domain.splits.train", MANY)  # Every row is wanted.
    return said(project, stage), in_pipeline(project, stage).artifact


def with_bad(row: bytes) -> list[bytes]:
    rows = [json.dumps(one).encode() for one in GOOD]
    return [*rows[: PLACE - 1], row, *rows[PLACE - 1 :]]


@pytest.mark.parametrize(("row", "message"), BAD.values(), ids=BAD)
def test_a_bad_row_is_named(project: Path, said: Run, row: bytes, message: str) -> None:
    before = (project / "build/data/sort/train.jsonl").read_bytes()
    failed, artifact = made(project, said, with_bad(row))
    assert failed.status == 1
    assert failed.err.startswith(f"Error: {project / 'rows.jsonl'}: row {PLACE}: {message}")
    assert failed.err.count("\n") == 1
    assert len(failed.err) < 300
    assert (artifact / "train.jsonl").read_bytes() == before


@pytest.mark.parametrize(("row", "message"), UNREADABLE.values(), ids=UNREADABLE)
def test_a_row_that_can_not_be_read_is_named(project: Path, said: Run, row: bytes, message: str) -> None:
    failed, _ = made(project, said, with_bad(row))
    assert failed.status == 1
    assert failed.err.startswith(f"Error: {project / 'rows.jsonl'}: can't be read after {PLACE - 1} rows: ")
    assert message in failed.err


def test_a_huge_row_is_an_item_like_others_and_its_prompt_is_refused_by_name(project: Path, said: Run) -> None:
    huge = next(
        text for text in (digit * MANY for digit in "123456789") if split_of(item_id(text), 0.5, 0.1) == "train"
    )
    done, artifact = made(project, said, with_bad(line(q=huge)))
    assert done.status == 0
    assert huge in (artifact / "train.jsonl").read_text(encoding="utf-8")
    failed = said(project, stages(project)["specialist-sort-grpo"])
    assert failed.status == 1
    assert f"a prompt has {MANY + 2} tokens, and domain.window.prompt allows" in failed.err
    assert len(failed.err) < 500
