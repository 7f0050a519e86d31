"""How numbers are written."""

import pytest

from thicket.reporting.text import duration, joined, percent, percent_interval, points, points_interval, si, times
from thicket.statistics.intervals import Interval


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ")


def test_shares_and_differences() -> None:
    assert percent(0.4567) == "45.7"
    assert percent(1.0) == "100.0"
    assert points(0.3214) == "+32.1"
    assert points(-0.05) == "−5.0"
    assert points(-0.0004) == "0.0"
    assert points(0.0) == "0.0"
    assert plain(percent_interval(Interval(0.5, 0.421, 0.492))) == "[42.1, 49.2]"
    assert plain(points_interval(Interval(0.0, -0.031, 0.02))) == "[−3.1, +2.0]"


@pytest.mark.parametrize(
    ("ratio", "text"),
    [(0.934, "0.93 ×"), (0.996, "1.0 ×"), (1.0, "1.0 ×"), (7.44, "7.4 ×"), (9.96, "10 ×"), (128.4, "128 ×")],
)
def test_two_digits_of_a_ratio(ratio: float, text: str) -> None:
    assert plain(times(ratio)) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (60, "60"),
        (999, "999"),
        (999.6, "1.00 k"),
        (78013, "78.0 k"),
        (817356800, "817 M"),
        (1.0115e12, "1.01 T"),
        (9.996e11, "1.00 T"),
        (3.14e26, "314 Y"),
    ],
)
def test_three_digits_and_a_prefix(number: float, text: str) -> None:
    assert plain(si(number)) == text


def test_a_unit_follows_the_prefix() -> None:
    assert plain(si(817356800, "B")) == "817 MB"
    assert plain(si(12, "B")) == "12 B"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.24, "0.2 s"), (18.68, "18.7 s"), (123.81, "2 min 4 s"), (3599.6, "1 h 0 min"), (7500, "2 h 5 min")],
)
def test_durations(seconds: float, text: str) -> None:
    assert plain(duration(seconds)) == text


def test_lists_of_words() -> None:
    assert joined(["a"]) == "a"
    assert joined(["a", "b"]) == "a and b"
    assert joined(["a", "b", "c"]) == joined(["a", "b", "c"], 3) == "a, b and c"
    assert joined(["a", "b", "c", "d"], 3) == "a, b and 2 more"
