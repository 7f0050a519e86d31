"""How the report writes numbers."""

from thicket.statistics.intervals import Interval

NONE = "—"
"""Stands for a number that there is none of."""
SPACE = "\N{NO-BREAK SPACE}"
PREFIXES = ("", "k", "M", "G", "T", "P", "E", "Z", "Y")
"""Of powers of 1000 (SI), up to 10²⁴."""
ROUNDS_UP = 999.5
"""From here on three digits round to 1000."""
PERCENT = 100
TENFOLD = 10
MINUTE, HOUR = 60, 3600
"""Seconds."""


def percent(share: float) -> str:
    """`45.7` for 0.457."""
    return _signless_zero(f"{share * PERCENT:.1f}")


def points(difference: float) -> str:
    """A difference of shares in percentage points: `+32.1`, `−5.0`, `0.0`."""
    return _signless_zero(f"{difference * PERCENT:+.1f}")


def percent_interval(interval: Interval) -> str:
    """`[42.1, 49.2]`."""
    return f"[{percent(interval.low)},{SPACE}{percent(interval.high)}]"


def points_interval(interval: Interval) -> str:
    """`[+28.0, +36.3]`."""
    return f"[{points(interval.low)},{SPACE}{points(interval.high)}]"


def _signless_zero(number: str) -> str:
    return number.lstrip("+-") if float(number) == 0 else number.replace("-", "−")


def over_items(confidence: float) -> str:
    """What an interval is of which nothing else is said: `95 % intervals over the items`."""
    return f"{confidence * PERCENT:g}{SPACE}% intervals over the items"


def si(number: float, unit: str = "") -> str:
    """Three significant digits and a prefix: `1.01 T`, `817 MB`."""
    scaled, place = float(number), 0
    while abs(scaled) >= ROUNDS_UP and place < len(PREFIXES) - 1:
        scaled, place = scaled / 1000, place + 1
    digits = f"{scaled:#.3g}".rstrip(".") if place else f"{scaled:.3g}"
    return f"{digits}{SPACE}{PREFIXES[place]}{unit}".strip()


def times(ratio: float) -> str:
    """Two significant digits, and all before the point: `0.93 ×`, `7.4 ×`, `128 ×`."""
    digits = f"{ratio:#.2g}".rstrip(".") if ratio < TENFOLD else f"{ratio:.0f}"
    return f"{digits}{SPACE}×"


def duration(seconds: float) -> str:
    """`18.7 s`, `2 min 4 s`, `1 h 2 min`."""
    if seconds < MINUTE:
        return f"{seconds:.1f}{SPACE}s"
    whole = round(seconds)
    if whole < HOUR:
        return f"{whole // MINUTE}{SPACE}min{SPACE}{whole % MINUTE}{SPACE}s"
    return f"{whole // HOUR}{SPACE}h{SPACE}{whole % HOUR // MINUTE}{SPACE}min"


def joined(words: list[str], most: int | None = None) -> str:
    """`a`, `a and b`, `a, b and c`; where there are more than `most`: `a, b and 3 more`."""
    if most is not None and len(words) > most:
        words = [*words[: most - 1], f"{len(words) - most + 1} more"]
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
