"""Answers of mathematical texts that are compared as texts, since a parser of formulas would misread them."""

import re

from thicket.domains.written import WRAPPER

_WRAPPED = re.compile(rf"(?:{WRAPPER}\{{[^{{}}]*\}}|\\?[\s,;~])+")
_WORDS = re.compile(r"[^\W\d_]++(?:[\s'’.,]++[^\W\d_]++)*+[\s'’.,]*+")
_DECORATION = re.compile(rf"{WRAPPER}(?=\{{)|\\(?:left|right)(?![a-z])|\\[,;:!]|[\s\\{{}}()~'’\"]|\.(?![0-9])")
_BASED = re.compile(r"(?<![\w^{])(?=[A-F]*[0-9])[0-9A-F.]++[)}]?\s*_")
"""A numeral with its base: 12_8. Not `x_1`, nor the index that begins {}_5C_2."""
_CLOCK = re.compile(r"[0-9]{1,2}(?::[0-5][0-9]){1,2}")
_TIME = re.compile(r"[0-9]++:0[0-9]|[0-9]++:[0-9]++[ap]m")
"""What no ratio is written like: 10:08, 10:30 a.m."""


def textual(reference: str, answer: str) -> bool:
    """Whether two answers are compared as texts: where either is in words, a time, or a numeral with a base.

    In words is what stands in \\text{…} and begins with a letter, or plain words of which one has three letters: `cat`
    is no product, `ab` is one. 10:08 is a time, 3:4 a ratio; 4:20 is a time next to another that can be one.
    """
    plain = _bare(reference), _bare(answer)
    clocks = all(_CLOCK.fullmatch(text) for text in plain)
    return clocks or any(map(_TIME.match, plain)) or any(_worded(text) for text in (reference, answer))


def same_text(reference: str, answer: str) -> bool:
    """Whether two answers are the same text: letter case, spaces, braces, parentheses and \\text aside."""
    return _bare(reference) == _bare(answer)


def _worded(answer: str) -> bool:
    text = answer.strip()
    first = re.search(r"[^\W_]", _bare(text))
    wrapped = bool(_WRAPPED.fullmatch(text)) and first is not None and first[0].isalpha()
    plain = bool(_WORDS.fullmatch(text)) and re.search(r"[^\W\d_]{3}", text) is not None
    return wrapped or plain or _BASED.search(text) is not None


def _bare(answer: str) -> str:
    return _DECORATION.sub("", answer).casefold()
