"""Where the answer stands in a mathematical text."""

import re

from thicket.domains.digits import POWERS, THOUSANDS, ascii_signs

TAIL = 1000
"""Characters at a text's end among which an answer outside a box is sought, and those of the longest answer."""
_BRACE = re.compile(r"(?P<box>\\(?:boxed|fbox)\s*\{)|(?P<bare>\\(?:boxed|fbox)\s+[^\s{}$\\]+)|\\[{}]|(?P<brace>[{}])")
# A dollar sign opens a formula before no space and closes it after no space and before no digit: prices are none.
_FORMULA = (
    r"\$\$(?P<display>[^$]+)\$\$|\$(?!\s)(?P<inline>[^$]+)(?<!\s)\$(?![0-9])"
    r"|\\\((?P<round>[^\\]*(?:\\[^()\\][^\\]*)*)\\\)|\\\[(?P<square>[^\\]*(?:\\[^\[\]\\][^\\]*)*)\\\]"
)
# With all that belongs to it: the other side of a ratio or a time, a denominator, an exponent, a period, a base.
_NUMBER = (
    rf"(?P<number>(?:(?<![\w)\]])[-\u2212])?(?<![\w.])(?:{THOUSANDS}|[0-9]++)(?:\.[0-9]*+\\overline\{{[0-9]++\}}"
    rf"|(?:\.[0-9]++)?(?:(?::[0-9]++)++|/[0-9]++(?!\w|\.[0-9])|[eE][-+]?[0-9]++|_(?:[0-9]++|\{{[0-9]++\}}))?)"
    rf"(?![{POWERS}])(?:\s?\\?%)?)"
)
_BARE = r"(?P<bare>[-\u2212]?\\(?:[dt]?frac\s*\{[^{}]*\}\s*\{[^{}]*\}|sqrt\s*\{[^{}]*\}))"
"""A fraction or a root that stands in the text without dollar signs."""
_LAST = re.compile(f"{_FORMULA}|{_BARE}|{_NUMBER}")
_WORDLESS = re.compile(
    r"(?:\\(?!boxed|fbox)[a-zA-Z]+|\\[,;:!%{}]|(?<![a-zA-Z])[a-zA-Z](?![a-zA-Z])|[-+*/^_=(){}\[\]|!.,:%<>0-9 ])+"
)


def answer_in(text: str) -> str | None:
    """The content of the last box, or else the last formula or number; None where there is neither.

    A formula stands in $…$, $$…$$, \\(…\\) or \\[…\\]; prices in dollars are none. A text without a word is a formula
    as a whole. What is longer than `TAIL` characters is no answer.
    """
    plain = ascii_signs(text).strip()
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
