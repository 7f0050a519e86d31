"""Rows of a Hugging Face data set, or of local files, as items."""

import re
from collections.abc import Iterator

from thicket.config.source import CONSTANT, PLACEHOLDER, DatasetSource
from thicket.domains.files import Row, check_encodes, has_column, read_rows, text_of
from thicket.domains.item import RawItem, place_of
from thicket.domains.options import Options, answer_of, lines, read_options
from thicket.hub import answers


def raw_items(source: DatasetSource, seed: int) -> Iterator[RawItem]:
    """An item a row, in an order that the seed draws: a sorted file gives no one-sided splits. Of rows with one
    question the first comes first.

    Raises: ValueError where the data can't be read or a row lacks what the templates ask for: the first such row, and
    how many there are.
    """
    rows = _hub_rows(source) if source.data_files is None else read_rows(source.data_files)
    if rows:
        _check_columns(source, rows[0])
    try:
        items = [_item(source, row) for row in rows]
    except ValueError:
        raise ValueError(_wrong_rows(source, rows)) from None
    yield from sorted(items, key=lambda item: place_of(item.question, seed))


def _item(source: DatasetSource, row: Row) -> RawItem:
    """Raises: ValueError where the row lacks what the templates ask for."""
    options = {} if source.choices is None else read_options(source.choices, row)
    asked = row
    if source.choices is not None:
        asked = Row(row.place, {**row.values, "choices": lines(source.choices, options)})
    for column in source.reference.values():
        check_encodes(row[column], row, column)
    question = fill(source.question, asked)
    if not question.strip():
        raise ValueError(f"{row.place}: the question is empty")
    return RawItem(
        question=question,
        answer=_answer(source, row, options),
        level=_level(source, row),
        reference={name: row[column] for name, column in source.reference.items()},
        demonstration=fill(source.demonstration, row).strip() if source.demonstration else "",
    )


def _wrong_rows(source: DatasetSource, rows: list[Row]) -> str:
    """What is wrong with the first of the rows that no item can be made of, and how many those are."""
    wrong = []
    for row in rows:
        try:
            _item(source, row)
        except ValueError as error:
            wrong.append(str(error))
    return wrong[0] if len(wrong) == 1 else f"{wrong[0]} (the first of {len(wrong)} bad rows, of {len(rows)})"


def _check_columns(source: DatasetSource, row: Row) -> None:
    """Raises: ValueError where the first row lacks a column, or an answer is the name of one."""
    for _, column in source.columns():
        if not has_column(row.values, column):
            row[column]  # which raises it
    for field, text in source.constants():
        if text in row.values:
            raise ValueError(f"domain.source.{field} = {text!r}: {CONSTANT}; did you mean: {{{text}}}")


def _hub_rows(source: DatasetSource) -> list[Row]:
    from datasets import load_dataset

    assert source.path is not None
    assert source.split is not None
    name = f"{source.path}@{source.revision}"
    if not answers(source.path, "dataset", source.revision):
        wrong = "the data set can't be loaded: the hub does not answer; run it again when it does"
        raise ValueError(f"domain.source.path = {name}: {wrong}")
    try:
        rows = load_dataset(source.path, source.subset, split=source.split, revision=source.revision)
    except Exception as error:  # A data set's files can make the package raise anything.
        reason = str(error) if isinstance(error, OSError | ValueError) else f"{type(error).__name__}: {error}"
        raise ValueError(f"domain.source.path = {name}: the data set can't be loaded: {reason}") from None
    return [Row(f"{name}: row {number}", dict(values)) for number, values in enumerate(rows, start=1)]


UNKNOWN = 0
"""The level of an item whose level is a question mark."""


def fill(template: str, row: Row) -> str:
    """The template with each `{column}` replaced by the row's value. Raises: ValueError for a missing column."""
    return PLACEHOLDER.sub(lambda match: _text(row, match[1]), template)


def _text(row: Row, column: str) -> str:
    return text_of(row[column], row, column)


def _answer(source: DatasetSource, row: Row, options: Options) -> str:
    if source.answer is None:
        return ""
    answer = fill(source.answer, row)
    if source.answer_pattern is not None:
        found = re.search(source.answer_pattern, answer)
        if found is None or found[1] is None:
            wrong = f"doesn't match domain.source.answer_pattern = {source.answer_pattern!r}"
            raise ValueError(f"{row.place}: the answer {answer!r:.80} {wrong}")
        answer = found[1]
    if not answer.strip():
        raise ValueError(f"{row.place}: the answer is empty")
    answer = answer.strip()
    return answer if source.choices is None else answer_of(source.choices, answer, options, row)


def _level(source: DatasetSource, row: Row) -> int:
    if source.level is None:
        return 1
    text = _text(row, source.level)
    numbers = re.findall(r"(?:^\s*-)?[0-9]+(?:\.[0-9]+)?", text)
    if re.fullmatch(r"\D*\?", text):
        return UNKNOWN
    if len(numbers) != 1 or "." in numbers[0]:
        raise ValueError(f"{row.place}: the level in column {source.level!r} is {text!r}; allowed: one whole number")
    return int(numbers[0])
