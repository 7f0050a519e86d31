"""Learning curves: a row a step."""

import csv
from pathlib import Path

from thicket.disk import replaced

COLUMNS = (
    "step",
    "flops",
    "loss",
    "gradient_norm",
    "reward",
    "length",
    "entropy",
    "kl",
    "weight",
    "value_loss",
    "useful",
    "temperature",
    "scale",
    "teacher",
    "ingredients",
    "selection",
    "taken",
)
Row = dict[str, float]
"""A value for some of the columns."""


def write_curves(path: Path, rows: list[Row]) -> None:
    """Writes the rows as CSV; a value that a step does not have is an empty cell."""
    with replaced(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in rows:
            writer.writerow([f"{row[name]:.6g}" if name in row else "" for name in COLUMNS])
