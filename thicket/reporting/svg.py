"""Figures of matplotlib as SVG that stands inline in a page and takes the page's colours."""

import html
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

DPI = 150
INCH = 72.0
"""Points."""
ROLES = {
    "ink": "#101010",
    "muted": "#606060",
    "line": "#d0d0d0",
    "specialist": "#109080",
    "control": "#a07010",
    "student": "#5060d0",
    "other": "#909090",
    "series-1": "#5060d1",
    "series-2": "#d07020",
    "series-3": "#a04090",
    "series-4": "#208050",
    "series-5": "#b03040",
    "series-6": "#807020",
}
"""Name of a CSS variable of the page → the colour that stands for it while matplotlib draws; all differ."""
SERIES = tuple(role for role in ROLES if role.startswith("series-"))
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "thicket",
    "text.parse_math": False,
    "font.family": ["DejaVu Sans"],
    "font.size": 9.0,
    "text.color": ROLES["ink"],
    "axes.facecolor": "none",
    "axes.edgecolor": ROLES["line"],
    "axes.labelcolor": ROLES["muted"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": ROLES["line"],
    "grid.linewidth": 0.5,
    "xtick.color": ROLES["line"],
    "ytick.color": ROLES["line"],
    "xtick.labelcolor": ROLES["muted"],
    "ytick.labelcolor": ROLES["muted"],
    "legend.frameon": False,
}
NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))
FONT = "system-ui, sans-serif"
"""What the browser draws text with, in place of the font that matplotlib measured."""


@contextmanager
def drawing(width: float, height: float) -> Iterator[Figure]:
    """A figure of a size in inches, in the report's style; `inline` belongs in the same block."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, height))
        figure.patch.set_alpha(0.0)
        yield figure


def save_png(figure: Figure, path: Path) -> None:
    """The figure as a PNG on white; equal figures give equal bytes."""
    figure.savefig(path, dpi=DPI, facecolor="white", metadata={"Software": None})


def inline(figure: Figure, name: str, label: str) -> str:
    """The figure as an `<svg>` element. `name` keeps its ids apart from those of other figures of the page.

    `label` says what it shows to those who don't see it.
    """
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata=NO_METADATA)
    text = buffer.getvalue()
    text = text[text.index("<svg") :].strip()
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'href="#', f'href="#{name}-', text)
    text = text.replace("url(#", f"url(#{name}-").replace("'DejaVu Sans'", FONT)
    for role, colour in ROLES.items():
        text = text.replace(colour, f"var(--{role})")
    return text.replace("<svg", f'<svg role="img" aria-label="{html.escape(label)}"', 1)
