"""Rows of a Hugging Face data set, or of local files, as items."""

import random
import re
from collections.abc import Iterator
from typing import Any

from thicket.config.domain import DatasetSource
from thicket.domains.files import Row, read_rows
from thicket.domains.item import RawItem


def raw_items(source: DatasetSource, seed: int) -> Iterator[RawItem]:
    """An item a row, in an order that the seed draws: a sorted file gives no one-sided splits.

    Raises: ValueError where the data can't be read or a row lacks what the templates ask for.
    """
    rows = _hub_rows(source) if source.data_files is None else read_rows(source.data_files)
    random.Random(f"dataset:{seed}").shuffle(rows)
    for row in rows:
        yield RawItem(fill(source.question, row), _answer(source, row), _level(source, row))


def _hub_rows(source: DatasetSource) -> list[Row]:
    from datasets import load_dataset

    assert source.path is not None
    assert source.split is not None
    name = f"{source.path}@{source.revision}"
    try:
        rows = load_dataset(source.path, source.subset, split=source.split, revision=source.revision)
    except (OSError, ValueError) as error:
        raise ValueError(f"domain.source.path = {name}: the data set can't be loaded: {error}") from None
    return [Row(f"{name}: row {number}", dict(values)) for number, values in enumerate(rows, start=1)]


def fill(template: str, row: Row) -> str:
    """The template with each `{column}` replaced by the row's value. Raises: ValueError for a missing column."""
    return re.sub(r"\{([^{}]+)\}", lambda match: _text(row, match[1]), template)


def _text(row: Row, column: str) -> str:
    """A value as people write it: 145.0 is 145, since JSON and Parquet files often keep whole numbers as floats."""
    value: Any = row[column]
    if isinstance(value, str | int):
        return str(value)
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    raise ValueError(
        f"{row.place}: the column {column!r} can't stand in a template: it holds {value!r:.60}; "
        "allowed: text or a number"
    )


def _answer(source: DatasetSource, row: Row) -> str:
    answer = fill(source.answer, row)
    if source.answer_pattern is not None:
        found = re.search(source.answer_pattern, answer)
        if found is None:
            wrong = f"doesn't match domain.source.answer_pattern = {source.answer_pattern!r}"
            raise ValueError(f"{row.place}: the answer {answer!r:.80} {wrong}")
        answer = found[1]
    if not answer.strip():
        raise ValueError(f"{row.place}: the answer is empty")
    return answer.strip()


def _level(source: DatasetSource, row: Row) -> int:
    if source.level is None:
        return 1
    text = _text(row, source.level)
    if not re.fullmatch(r"-?[0-9]+", text):
        raise ValueError(f"{row.place}: the level in column {source.level!r} is {text!r}; allowed: a whole number")
    return int(text)
