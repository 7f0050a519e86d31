"""Lines through what `scaling.py` measured, as tables, and their place in a document."""

import re
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

MIB, GIB = 2**20, 2**30
MARKED = re.compile(r"(<!-- from the run: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
"""A part of a document that a run fills, by name."""
STEP = "a step, by model size"
"""An axis that is derived from two others of the decode loop."""
NOTHING_YET = "*Not measured yet: `python benchmarks/scaling.py --device cuda --results FILE` has run on no GPU.*"


@dataclass(frozen=True)
class Measured:
    """A point of an axis."""

    stage: str
    axis: str
    unit: str
    x: float
    seconds: list[float]
    memory: int | None
    """Bytes at the peak, with all that was there before."""
    flops: float | None

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


@dataclass(frozen=True)
class Line:
    """value = a + b·x."""

    a: float
    b: float
    error: float | None
    """Standard error of b; None: no more than two points."""
    off: float
    """The largest distance of a point from the line, as a share of its value."""

    def at(self, x: float) -> float:
        return self.a + self.b * x


def fit(x_N: Sequence[float], y_N: Sequence[float]) -> Line:
    """The line of least squares. Raises: ValueError where fewer than two places differ."""
    if len(set(x_N)) < 2:
        raise ValueError("a line needs two places")
    x, y = np.asarray(x_N, dtype=float), np.asarray(y_N, dtype=float)
    spread = float(((x - x.mean()) ** 2).sum())
    b = float(((x - x.mean()) * (y - y.mean())).sum()) / spread
    a = float(y.mean() - b * x.mean())
    rest = y - a - b * x
    free = len(x) - 2
    error = float(np.sqrt((rest**2).sum() / free / spread)) if free else None
    return Line(a, b, error, float(np.max(np.abs(rest) / np.abs(y))))


def read(found: dict[str, Any]) -> list[Measured]:
    """The points of a results file."""
    return [Measured(**point) for point in found["points"]]


def axes(points: Sequence[Measured]) -> dict[tuple[str, str], list[Measured]]:
    """The points of each stage's axes, in order of x."""
    grouped: dict[tuple[str, str], list[Measured]] = {}
    for point in points:
        grouped.setdefault((point.stage, point.axis), []).append(point)
    return {key: sorted(of, key=lambda point: point.x) for key, of in grouped.items()}


def times(points: Sequence[Measured]) -> Line | None:
    """Seconds along an axis; None where fewer than two places were reached."""
    if len({point.x for point in points}) < 2:
        return None
    return fit([point.x for point in points], [point.median for point in points])


def table_of_points(found: dict[str, Any]) -> str:
    """Every point: seconds with their range, memory, and the share of the matrix product's rate."""
    product = found["rates"]["product"]
    lines = ["| stage | axis | x | seconds | range | peak memory | MFU |", "|---|---|---|---|---|---|---|"]
    for of in axes(read(found)).values():
        for one in of:
            memory = "" if one.memory is None else f"{one.memory / GIB:.2f} GiB"
            share = "" if one.flops is None else f"{100 * one.flops / one.median / product:.1f} %"
            range_ = f"{min(one.seconds):.4g}–{max(one.seconds):.4g}"
            x = f"{one.x:.4g} {one.unit}"
            lines.append(f"| {one.stage} | {one.axis} | {x} | {one.median:.4g} | {range_} | {memory} | {share} |")
    return "\n".join(lines)


def table_of_lines(found: dict[str, Any]) -> str:
    """Every axis with its line: what is spent at x = 0, what each unit adds, and how well a line describes it."""
    lines = ["| stage | axis | places | a | b ± its error, a unit | off the line | memory, a unit |", "|" + "---|" * 7]
    for (stage, axis), of in axes(read(found)).items():
        line = times(of)
        if line is None:
            continue
        error = "" if line.error is None else f" ± {scaled(line.error)}"
        memory = [point.memory for point in of if point.memory is not None]
        grown = f"{fit([p.x for p in of], memory).b / MIB:.4g} MiB" if len(memory) == len(of) else ""
        places, unit = f"{of[0].x:.4g}–{of[-1].x:.4g} {of[0].unit}", f"{scaled(line.b)}{error}"
        lines.append(f"| {stage} | {axis} | {places} | {scaled(line.a)} | {unit} | {100 * line.off:.0f} % | {grown} |")
    return "\n".join(lines)


def scaled(seconds: float) -> str:
    """Seconds in the unit that suits them."""
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if abs(seconds) * factor >= 1 or unit == "µs":
            return f"{seconds * factor:.3g} {unit}"
    raise AssertionError


def where(found: dict[str, Any]) -> str:
    """The command, the machine and its rates."""
    rates = found["rates"]
    return (
        f"`{found['command']}` at commit {found['commit'][:7]}: {found['machine']}, torch {found['torch']}, "
        f"transformers {found['transformers']}. A matrix product runs at {rates['product'] / 1e12:.3g} TFLOP/s there, "
        f"a copy in memory moves {rates['copy'] / 1e12:.3g} TB/s (read and written), and "
        f"{rates['to device'] / 1e9:.3g} GB/s go from the host's memory to the device's. "
        f"The run took {found['took']:.0f} s." + "".join(f" Left out: {name}." for name in found["left_out"])
    )


def write(document: Path, parts: dict[str, Callable[[], str]]) -> None:
    """Puts each part into its place in a document.

    Raises: ValueError where the document has a place that nothing fills, or none for a part.
    """
    text = document.read_text(encoding="utf-8")
    places = {name for _, name, _ in MARKED.findall(text)}
    if places != set(parts):
        raise ValueError(f"{document.name} has places {sorted(places)}; the run fills {sorted(parts)}")
    filled = MARKED.sub(lambda found: f"{found[1]}\n{parts[found[2]]()}\n\n{found[3]}", text)
    document.write_text(filled, encoding="utf-8")
