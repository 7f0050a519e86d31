"""How a mathematical answer is written: what changes no value, and which answers are texts, ratios or percentages."""

import re
from fractions import Fraction

from thicket.domains.digits import THOUSANDS

_TEXT = r"\\(?:text(?:bf|it|rm|sf|tt|normal)?|math(?:rm|bf|it|sf|tt)|mbox|operatorname)\s*"
_DOLLAR = re.compile(r"\\?\$")
_PERCENT = re.compile(rf"\s?(?:\\?%|{_TEXT}\{{\s*(?:\\?%|percent)\s*\}}|(?<=[0-9}}]\s)percent\b)")
_ANNOUNCED = re.compile(
    rf"\s*(?P<opened>{_TEXT}\{{)?\s*(?:the\s+)?(?:final\s+)?ans(?:wer)?(?:\s+is\b\s*:?|\s*[:=])", re.IGNORECASE
)
_EMPTY = re.compile(rf"\s*{_TEXT}\{{\s*\}}\s*[:=]?")
_ABOUT = re.compile(r"\s*(?:\\(?:approx|thickapprox|simeq|sim)(?![a-zA-Z])|\u2248)")
_GROUPED = re.compile(rf"(?<![0-9.]){THOUSANDS}")
_GROUPING = re.compile(r",?\\[,;:! ]|\{,\}")
_EQUALS = re.compile(r"(?<![<>!:])=|[{}]")
_COLON = re.compile(r"(?<!\\):(?!=)|[{}()\[\]]")
_SYMBOL = re.compile(r"\s*\\?[a-zA-Z]\w*(?:\{[^{}]*\})?(?:\([^()]*\))?\s*")
"""What an answer may be named by: `x`, `f(x)`, `x_1`."""
_WRAPPED = re.compile(rf"(?:{_TEXT}\{{[^{{}}]*\}}|\\?[\s,;~])+")
_WORDS = re.compile(r"(?=.*[^\W\d_]{3})[^\W\d_]+(?:[\s'’.,]+[^\W\d_]+)*[\s'’.,]*", re.DOTALL)
_DECORATION = re.compile(rf"{_TEXT}(?=\{{)|\\(?:left|right)\b|[\s\\{{}}()~'’\"]|\.(?![0-9])")
_BASED = re.compile(r"(?<![\w^{])(?=[A-F]*[0-9])[0-9A-F.]+[)}]?\s*_")
"""A numeral with its base: 12_8. Not `x_1`, nor a lower index that begins what follows, as in {}_5C_2."""
_TIMED = re.compile(r"[0-9]{1,2}(?::[0-5][0-9]){1,2}(?P<half>[ap]m)?")
_LEADING_ZERO = re.compile(r":0")
_REPEATING = re.compile(r"(?P<whole>[0-9]*)\.(?P<once>[0-9]*)\\(?:overline|bar|dot)\s*(?:\{(?P<many>[0-9]+)\}|(?P<one>[0-9]))")
_EXPONENT = re.compile(r"(?<![\w.\\])([0-9]+(?:\.[0-9]+)?)[eE]([-+]?[0-9]+)(?!\w)")


def plain_form(answer: str) -> str:
    """An answer without what changes no value.

    That is dollar signs, spaces at the ends, a full stop, the thin spaces and braces that group digits, `Answer:`
    before it, and a sign that it is rounded. A percent sign becomes a mere %.
    """
    plain = _PERCENT.sub("%", _DOLLAR.sub("", answer))
    plain = _EMPTY.sub("", _ANNOUNCED.sub(lambda match: match["opened"] or "", plain, count=1), count=1)
    plain = _ABOUT.sub("", plain, count=1) if _ABOUT.match(plain) else plain
    plain = _GROUPED.sub(lambda match: _GROUPING.sub("", match[0]), plain)
    return plain.strip().removesuffix(".").strip()
