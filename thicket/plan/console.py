"""Tables on a terminal or in a log."""

import sys

from rich.console import Console
from rich.table import Table

WIDTH = 160
"""Columns where the output is no terminal."""


def table(*columns: str, right: tuple[str, ...] = ()) -> Table:
    """An empty table without a frame; `right` columns are aligned to the right."""
    made = Table(box=None, pad_edge=False)
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left")
    return made


def show(made: Table) -> None:
    """Prints a table, without white space at the ends of lines."""
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    with console.capture() as captured:
        console.print(made)
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))
