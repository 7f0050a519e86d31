"""How a mathematical answer is written: what changes no value, and the parts that equality and ratio signs leave."""

import re
from fractions import Fraction

from thicket.domains.digits import THOUSANDS

WRAPPER = r"\\(?:text(?:bf|it|rm|sf|tt|normal)?|math(?:rm|bf|it|sf|tt)|mbox|operatorname)\s*"
"""A command that sets its braces' content as text."""
_PERCENT = re.compile(rf"\s?(?:\\?%|{WRAPPER}\{{\s*(?:\\?%|percent)\s*\}}|(?<=[0-9}}]\s)percent\b)")
_ANNOUNCED = re.compile(
    rf"\A\s*(?P<opened>{WRAPPER}\{{)?\s*(?:the\s+)?(?:final\s+)?ans(?:wer)?(?:\s+is\b\s*:?|\s*[:=])\s*", re.IGNORECASE
)
_EMPTY = re.compile(rf"\A\s*{WRAPPER}\{{\s*\}}\s*[:=]?")
_ABOUT = re.compile(r"\A\s*(?:\\(?:approx|thickapprox|simeq|sim)(?![a-zA-Z])|\u2248)")
_GROUPED = re.compile(rf"(?<![0-9.]){THOUSANDS}")
_GROUPING = re.compile(r",?\\[,;:! ]|\{,\}")
_EQUALS = re.compile(r"(?<![<>!:])(?P<cut>=)|(?P<open>[{])|(?P<close>[}])")
_COLON = re.compile(r"(?<!\\)(?P<cut>:)(?!=)|(?P<open>[{(\[])|(?P<close>[})\]])")
_SYMBOL = re.compile(r"\s*\\?[a-zA-Z]\w*(?:\{[^{}]*\})?(?:\([^()]*\))?\s*")
"""What an answer may be named by: `x`, `f(x)`, `x_1`."""
_REPEATING = re.compile(r"(?<![0-9.])(?P<whole>[0-9]*+)\.(?P<once>[0-9]*+)\\(?:overline|bar)\s*\{(?P<many>[0-9]++)\}")
_EXPONENT = re.compile(r"(?<![\w.\\])([0-9]++(?:\.[0-9]++)?)[eE]([-+]?[0-9]++)(?!\w)")


def plain_form(answer: str) -> str:
    """An answer without what changes no value.

    That is dollar signs, spaces at the ends, a full stop, the thin spaces and braces that group digits, `Answer:`
    before it, and a sign that it is rounded. A percent sign becomes a mere %.
    """
    plain = _PERCENT.sub("%", re.sub(r"\\?\$", "", answer))
    plain = _ANNOUNCED.sub(lambda match: match["opened"] or "", plain)
    plain = _ABOUT.sub("", _EMPTY.sub("", plain))
    plain = _GROUPED.sub(lambda match: _GROUPING.sub("", match[0]), plain)
    return plain.strip().removesuffix(".").strip()


def values(answer: str) -> list[str]:
    """What stands between the equality signs outside of braces, without the names that are given to it."""
    sides = _parts(_EQUALS, answer)
    return [side for side in sides if len(sides) == 1 or not _SYMBOL.fullmatch(side)]


def terms(answer: str) -> list[str]:
    """The terms of a ratio, between its colons outside of brackets; the answer alone where it is none."""
    return _parts(_COLON, answer)


def _parts(signs: re.Pattern[str], text: str) -> list[str]:
    depth, parts, start = 0, list[str](), 0
    for match in signs.finditer(text):
        depth += (match["open"] is not None) - (match["close"] is not None)
        if match["cut"] and depth == 0:
            parts.append(text[start : match.start()])
            start = match.end()
    return [*parts, text[start:]]


def parseable(answer: str) -> str:
    """An answer with repeating decimals as fractions and exponents as powers of ten, which math-verify doesn't read."""
    return _EXPONENT.sub(r"\1 \\times 10^{\2}", _REPEATING.sub(_fraction, answer))


def _fraction(decimal: re.Match[str]) -> str:
    """0.1\\overline{6} is (16 − 1)/90."""
    start = decimal["whole"] + decimal["once"]
    value = Fraction(
        int(start + decimal["many"]) - int(start or "0"),
        10 ** len(decimal["once"]) * (10 ** len(decimal["many"]) - 1),
    )
    return rf"\frac{{{value.numerator}}}{{{value.denominator}}}"
