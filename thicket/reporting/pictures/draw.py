"""Draws an analysis's picture from the files that the analysis wrote: PNG for `dvc plots`, SVG for pages."""

import csv
import json
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from thicket.config.places import PICTURE
from thicket.reporting.svg import STYLE, inline, save_png

Tables = Mapping[str, list[dict[str, str]]]


def read_tables(folder: Path) -> dict[str, list[dict[str, str]]]:
    """The tables of an analysis by name, values as text."""
    tables = dict[str, list[dict[str, str]]]()
    for path in sorted(folder.glob("*.csv")):
        with path.open(newline="", encoding="utf-8") as file:
            tables[path.stem] = list(csv.DictReader(file))
    return tables


def draw(kind: str, folder: Path) -> None:
    """Writes picture.png and picture.svg; equal files give equal bytes."""
    result: dict[str, Any] = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    picture: Callable[[Mapping[str, Any], Tables], Figure] = import_module(f"thicket.reporting.pictures.{kind}").picture
    with matplotlib.rc_context(STYLE):
        figure = picture(result, read_tables(folder))
        svg = inline(figure, result["name"], f"{kind} of {', '.join(result['models'])}")
        save_png(figure, folder / PICTURE)
    (folder / "picture.svg").write_text(svg + "\n", encoding="utf-8")
