"""Tables and trees on a terminal or in a log, and JSON for programs."""

import json
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich.console import Console, RenderableType
from rich.measure import Measurement, measure_renderables
from rich.table import Table

WIDTH = 160
"""Columns where the output is no terminal."""
GAP = 2
"""Columns between two of a table's."""
LONGEST_WORD = 20
"""Characters; a longer one, as of a path, may be broken."""
MINUTES = 300
"""Seconds from which on a time that is left is shown in minutes."""


def table(*columns: str, right: tuple[str, ...] = ()) -> Table:
    """An empty table without a frame; `right` columns are aligned to the right."""
    made = Table(box=None, pad_edge=False)
    for column in columns:
        # Of a line that is too narrow for a word the word goes on in the next: nothing is cut off.
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return made


def width() -> int:
    """Columns of a line: the terminal's, where there is one."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDTH


def show(made: RenderableType) -> None:
    """Prints a table or a tree, in colour on a terminal, without white space at the ends of lines.

    A table that is too wide for its words comes in pieces, one below the other, each with the first column.
    """
    # Texts are what they are: in `teachers=[a,b]` and `v1:opd` there is no markup.
    console = Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False, markup=False, emoji=False)
    with console.capture() as captured:
        for number, piece in enumerate(_pieces(made, console) if isinstance(made, Table) else [made]):
            if number:
                console.print()
            console.print(piece)
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))


def _pieces(made: Table, console: Console) -> list[Table]:
    """The table, or its columns in pieces that fit; those without a head go with the one before them."""
    widths = _widths(made, console)
    if _total(width.minimum for width in widths) <= console.width:
        return [_fitted(made, console)]
    groups: list[list[int]] = []
    for place, column in enumerate(made.columns):
        if column.header or not groups:
            groups.append([])
        groups[-1].append(place)
    first, *others = groups
    chosen: list[list[int]] = []
    for group in others:
        if not chosen or _total(widths[place].maximum for place in chosen[-1] + group) > console.width:
            chosen.append([*first])
        chosen[-1] += group
    return [_fitted(_with(made, places), console) for places in chosen] or [made]


def _widths(made: Table, console: Console) -> list[Measurement]:
    """The least of each column that breaks no word, or just a long one, and what its cells take in a line."""
    cells = [[column.header, *column.cells] for column in made.columns]
    found = [measure_renderables(console, console.options, column) for column in cells]
    return [Measurement(min(width.minimum, LONGEST_WORD), width.maximum) for width in found]


def _total(widths: Iterable[int]) -> int:
    """Of a line."""
    found = list(widths)
    return sum(found) + GAP * (len(found) - 1)


def _fitted(made: Table, console: Console) -> Table:
    """The table with columns that break no word, as far as there is room: those come first that need the least."""
    widths = _widths(made, console)
    spare = console.width - _total(width.minimum for width in widths)
    if spare >= 0:
        by_need = sorted(zip(made.columns, widths, strict=True), key=lambda pair: pair[1].span)
        for behind, (column, width) in zip(range(len(by_need), 0, -1), by_need, strict=True):
            more = min(width.span, spare // behind)
            column.width, spare = width.minimum + more, spare - more
    return made


def _with(made: Table, places: list[int]) -> Table:
    """A table of some of the columns."""
    piece = Table(box=made.box, pad_edge=made.pad_edge, show_header=made.show_header)
    for place in places:
        column = made.columns[place]
        piece.add_column(column.header, justify=column.justify, overflow=column.overflow)
    for row in zip(*(made.columns[place].cells for place in places), strict=True):
        piece.add_row(*row)
    return piece


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
