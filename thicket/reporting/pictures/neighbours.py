"""What the pictures of a model's neighbourhood share."""

from collections.abc import Iterable, Mapping
from typing import Any

from thicket.reporting.svg import ROLES, SERIES

WIDTH = 7.6
"""Inches, the page's column."""
MARKERS = "os^DvPX<>p"
Ends = tuple[float, float, float]
"""A value, and the ends of its interval."""


def look(place: int) -> dict[str, Any]:
    """Colour and marker of a series; the first 30 differ, by both or by one."""
    return {"color": ROLES[SERIES[place % len(SERIES)]], "marker": MARKERS[place % len(MARKERS)]}


def distinct(rows: Iterable[Mapping[str, str]], column: str) -> list[str]:
    """The values of a column, in the order in which they come."""
    return list(dict.fromkeys(row[column] for row in rows))


def statistic(result: Mapping[str, Any], name: str, domain: str) -> Ends | None:
    """A statistic with its interval; None where it has no value."""
    for one in result["statistics"]:
        if one["name"] == name and one["domain"] == domain and one["value"] is not None:
            return one["value"], one["low"], one["high"]
    return None


def level(sigma: str) -> str:
    """A σ of a table, as it stands in names."""
    return f"{float(sigma):g}"
