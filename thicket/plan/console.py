"""Tables and trees on a terminal or in a log, and JSON for programs."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from rich.console import Console, RenderableType
from rich.table import Table

WIDTH = 160
"""Columns where the output is no terminal."""
MINUTES = 300
"""Seconds from which on a time that is left is shown in minutes."""


def table(*columns: str, right: tuple[str, ...] = ()) -> Table:
    """An empty table without a frame; `right` columns are aligned to the right."""
    made = Table(box=None, pad_edge=False)
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left")
    return made


def width() -> int:
    """Columns of a line: the terminal's, where there is one."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDTH


def show(made: RenderableType) -> None:
    """Prints a table or a tree, in colour on a terminal, without white space at the ends of lines."""
    console = Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False)
    with console.capture() as captured:
        console.print(made)
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))


def print_json(value: Any) -> None:
    """What `--json` prints."""
    print(json.dumps(value, indent=1, ensure_ascii=False))


def read_json(path: Path) -> Any:
    """The value of a file of the pipeline's. Raises: ValueError where it is not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: not JSON ({error})") from None


def as_json(value: Any) -> str:
    """A value in a line."""
    return json.dumps(value, ensure_ascii=False)
