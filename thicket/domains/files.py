"""Rows of local files: JSON, JSON lines, CSV and Parquet, read anew each time (no cache that could be stale)."""

import codecs
import csv
import json
import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Reader = Callable[[Path], Iterator[Any]]
OTHER_SEPARATORS = (";", "\t", "|")
"""Of fields, in what other programs call CSV."""
LARGE = 2**24
"""Bytes of a file that takes longer to read than a check should."""


@dataclass(frozen=True)
class Row:
    """A row of a data set."""

    place: str
    """The file or data set, and the row's number, counted from 1, for messages."""
    values: dict[str, Any]
    """Column → value."""

    def __getitem__(self, column: str) -> Any:
        """The value of a column; `a.b` is b inside a, and where a is a list, the list of the b of each; `a.0` is a
        list's first entry.

        Raises: ValueError, with the columns that there are, where it is missing or empty.
        """
        value = self.values[column] if column in self.values else _inside(self.values, column.split("."))
        if value is None:
            wrong = "is empty" if column in self.values else "is missing"
            raise ValueError(f"{self.place}: the column {column!r} {wrong}; columns: {', '.join(self.values)}")
        return value


def _inside(value: Any, path: list[str]) -> Any:
    """What a path leads to; None where it leads nowhere."""
    if not path:
        return value
    if isinstance(value, list) and path[0].isdecimal():
        return _inside(value[int(path[0])], path[1:]) if int(path[0]) < len(value) else None
    if isinstance(value, list):
        return [_inside(entry, path) for entry in value]
    return _inside(value.get(path[0]), path[1:]) if isinstance(value, dict) else None


def text_of(value: Any, row: Row, column: str) -> str:
    """A value as people write it: 145.0 is 145, since JSON and Parquet files often keep whole numbers as floats.

    Raises: ValueError, naming row and column, where it is neither text nor a number.
    """
    if isinstance(value, str):
        check_encodes(value, row, column)
        return value
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float) and math.isfinite(value):
        return str(int(value)) if value.is_integer() else repr(value)
    raise ValueError(
        f"{row.place}: the column {column!r} can't stand in a template: it holds {value!r:.60}; "
        "allowed: text or a number"
    )


def has_column(values: dict[str, Any], column: str) -> bool:
    """Whether a row has a column, or the one that a dotted column goes into."""
    return column in values or column.partition(".")[0] in values


def check_encodes(value: Any, row: Row, column: str) -> None:
    """Raises: ValueError where a value can't be written as UTF-8: JSON may hold halves of characters, and NaN."""
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except ValueError as error:
        raise ValueError(f"{row.place}: the column {column!r} can't be written as UTF-8 JSON: {error}") from None


def read_rows(data_files: str | list[str]) -> list[Row]:
    """The rows of the files, in order; relative paths start at the working directory, the project's root.

    Raises: ValueError where a file is missing, of another type, or not what its name says.
    """
    names = [data_files] if isinstance(data_files, str) else data_files
    return [row for name in names for row in _read(Path(name))]


def first_row(path: Path) -> Any:
    """The first row of a file, without reading the rest; a large `.json` file, which is read as a whole, is left alone.

    None where there is none, or it can't be read: the stage that needs it says why.
    """
    if path.suffix == ".parquet":
        from pyarrow import parquet

        with suppress(Exception):  # pyarrow raises errors of many kinds over a file that is broken.
            return next((batch.to_pylist()[0] for batch in parquet.ParquetFile(path).iter_batches(1)), None)
        return None
    reader = READERS.get(path.suffix)
    if reader is None or (path.suffix == ".json" and path.stat().st_size > LARGE):
        return None
    with suppress(OSError, ValueError, csv.Error):
        return next(reader(path), None)
    return None


def unreadable(path: Path) -> str:
    """Why a file can't hold rows, as far as its name and its header tell, for a message; empty where it can."""
    if path.suffix not in READERS:
        return f"unknown type of file; allowed: {', '.join(READERS)}"
    if path.suffix == ".csv" and path.is_file():
        with suppress(OSError, ValueError, csv.Error), path.open(encoding="utf-8-sig", newline="") as file:
            header = next(csv.reader(file), [])
            found = next((sign for sign in OTHER_SEPARATORS if len(header) == 1 and sign in header[0]), "")
            if found:
                return f"one column, {header[0]!r}: the separator seems to be {found!r}; allowed: commas"
    return ""


def _read(path: Path) -> Iterator[Row]:
    if wrong := unreadable(path):
        raise ValueError(f"domain.source.data_files = {path}: {wrong}")
    reader = READERS[path.suffix]
    if not path.is_file():
        raise ValueError(f"domain.source.data_files = {path}: there is no such file under {Path.cwd()}")
    for number, values in _numbered(path, reader):
        if not isinstance(values, dict):
            raise ValueError(f"{path}: row {number}: not a mapping of columns to values, but {values!r:.60}")
        yield Row(f"{path}: row {number}", values)


def _numbered(path: Path, reader: Reader) -> Iterator[tuple[int, Any]]:
    number = 0
    try:
        for number, values in enumerate(reader(path), start=1):
            yield number, values
    except Exception as error:  # pyarrow raises errors of many kinds over a file that is broken.
        known = isinstance(error, ValueError | csv.Error)
        reason = str(error) if known else f"{type(error).__name__}: {error}"
        raise ValueError(f"{path}: can't be read after {number} rows: {reason}") from None


def _json(path: Path) -> Iterator[Any]:
    rows = json.loads(path.read_text(encoding="utf-8-sig"))
    if not isinstance(rows, list):
        raise ValueError("not a list of rows")
    yield from rows


def _json_lines(path: Path) -> Iterator[Any]:
    with path.open("rb") as file:  # Decoded line by line: a text file's decoder fails some kilobytes before the line.
        start = file.read(len(codecs.BOM_UTF8))
        file.seek(0 if start != codecs.BOM_UTF8 else len(codecs.BOM_UTF8))
        yield from (json.loads(line.decode()) for line in file if line.strip())


def _csv(path: Path) -> Iterator[Any]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        for values in csv.DictReader(file, strict=True):
            if None in values:
                raise ValueError("the next row has more fields than the header has columns")
            yield values


def _parquet(path: Path) -> Iterator[Any]:
    from pyarrow import parquet

    yield from parquet.read_table(path).to_pylist()


READERS: dict[str, Reader] = {
    ".json": _json,
    ".jsonl": _json_lines,
    ".csv": _csv,
    ".parquet": _parquet,
}
