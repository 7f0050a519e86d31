"""Answers in mathematical texts: where they stand, and whether two of them are the same (by math-verify)."""

import logging
import re
from typing import Any

from thicket.domains.digits import ascii_digits

TAIL = 1000
"""Characters at a text's end among which an answer outside a box is sought, and those of the longest answer."""
_BRACE = re.compile(r"(?P<box>\\(?:boxed|fbox)\s*\{)|(?P<bare>\\(?:boxed|fbox)\s+[^\s{}$\\]+)|\\[{}]|(?P<brace>[{}])")
# A dollar sign opens a formula before no space and closes it after no space and before no digit: prices are none.
_FORMULA = (
    r"\$\$(?P<display>[^$]+)\$\$|\$(?!\s)(?P<inline>[^$]+)(?<!\s)\$(?![0-9])"
    r"|\\\((?P<round>[^\\]*(?:\\[^()\\][^\\]*)*)\\\)|\\\[(?P<square>[^\\]*(?:\\[^\[\]\\][^\\]*)*)\\\]"
)
_NUMBER = (
    r"(?P<number>(?:(?<![\w)\]])[-\u2212])?(?<![\w.])(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?"
    r"(?:/[0-9]+(?!\w|\.[0-9]))?)"
)
_BARE = r"(?P<bare>[-\u2212]?\\(?:[dt]?frac\s*\{[^{}]*\}\s*\{[^{}]*\}|sqrt\s*\{[^{}]*\}))"
"""A fraction or a root that stands in the text without dollar signs."""
_LAST = re.compile(f"{_FORMULA}|{_BARE}|{_NUMBER}")
_EQUALS = re.compile(r"(?<![<>!:])=|[{}]")
_SYMBOL = re.compile(r"\s*\\?[a-zA-Z]\w*(?:\{[^{}]*\})?(?:\([^()]*\))?\s*")
"""What an answer may be named by: `x`, `f(x)`, `x_1`."""
_WORDLESS = re.compile(r"(?:\\(?!boxed|fbox)[a-zA-Z]+|(?<![a-zA-Z])[a-zA-Z](?![a-zA-Z])|[-+*/^_=(){}\[\]|!.,<>0-9 ])+")


def answer_in(text: str) -> str | None:
    """The content of the last box, or else the last formula or number; None where there is neither.

    A formula stands in $…$, $$…$$, \\(…\\) or \\[…\\]; prices in dollars are none. A text without a word is a formula
    as a whole. What is longer than `TAIL` characters is no answer.
    """
    plain = ascii_digits(text).strip()
    found = boxed(plain)
    if found is None and len(plain) <= TAIL and _WORDLESS.fullmatch(plain):
        found = plain
    if found is None:
        formulas = list(_LAST.finditer(plain[-TAIL:]))
        found = formulas[-1][formulas[-1].lastgroup or 0] if formulas else ""
    found = found.strip()
    return found if 0 < len(found) <= TAIL else None


def boxed(text: str) -> str | None:
    """The content of the \\boxed{…} that opens last, of those that close; None where none does.

    So of boxes inside one another it is the innermost, and a box that was cut off doesn't count. One pass.
    """
    best, content = -1, None
    opened: list[tuple[bool, int]] = []
    for match in _BRACE.finditer(text):
        if match["bare"]:
            best, content = match.start(), match["bare"].split(maxsplit=1)[1]
        elif match["box"]:
            opened.append((True, match.end()))
        elif match["brace"] == "{":
            opened.append((False, match.end()))
        elif match["brace"] and opened:
            is_box, start = opened.pop()
            if is_box and start > best:
                best, content = start, text[start : match.start()]
    return content


def plain_form(answer: str) -> str:
    """An answer without what changes no value: dollar and percent signs, spaces at the ends, a full stop."""
    return re.sub(r"\\?[$%]", "", answer).strip().removesuffix(".").strip()


def _sides(answer: str) -> list[str]:
    """What stands between the equality signs outside of braces."""
    depth, cuts = 0, [-1]
    for match in _EQUALS.finditer(answer):
        depth += {"{": 1, "}": -1}.get(match[0], 0)
        if match[0] == "=" and depth == 0:
            cuts.append(match.start())
    return [answer[start + 1 : end] for start, end in zip(cuts, [*cuts[1:], len(answer)], strict=True)]


def __getattr__(name: str) -> Any:
    """`equivalent`, made when it is asked for: it loads sympy, for which a worker has time before its first call."""
    if name != "equivalent":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from math_verify import LatexExtractionConfig, parse, verify

    logging.getLogger("math_verify").setLevel(logging.ERROR)  # It warns of every call without a time limit.

    def parsed(text: str) -> list[Any]:
        config = [LatexExtractionConfig()]
        # Its own limits need signals, and those the main thread; the pool of workers has limits that hold.
        return parse(f"${text}$", extraction_config=config, fallback_mode="no_fallback", parsing_timeout=0)

    def equivalent(reference: str, answer: str) -> bool:
        """Whether an answer is the reference as mathematics: LaTeX that sympy finds equal. Slow, and it may not end.

        Both are parsed by a grammar; no text is run. What the grammar can't read equals nothing. Of an equation all
        sides but a name have to be the reference: 3 = 5 is no way to say 5.
        """
        sides = [answer] if "=" in reference else _sides(answer)
        expected = parsed(reference)
        values = [parsed(side) for side in sides if len(sides) == 1 or not _SYMBOL.fullmatch(side)]
        return bool(expected and values) and all(
            given and verify(expected, given, timeout_seconds=0) for given in values
        )

    return equivalent
