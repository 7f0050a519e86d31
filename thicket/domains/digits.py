"""Digits and signs of other scripts that mean the same as those of ASCII, and how digits are set in groups."""

import re
import unicodedata

THOUSANDS = r"[0-9]{1,3}(?:(?:,(?:\\!)?|\{,\}|\\[,;:!\ ])[0-9]{3})+(?![0-9])"
r"""A whole number in groups of three: 1,000 and LaTeX's `1{,}000`, `1\,000`, `1,\!000`."""
POWERS = "\u00b2\u00b3\u00b9\u2070\u2071\u2074-\u207f\u00bc-\u00be\u2150-\u215f"
"""Superscripts and fractions of one sign, inside a regular expression's brackets: after a number they change it."""
_OTHER_DIGIT = re.compile(r"(?![0-9])\d")
_FULL_WIDTH = {0xFF01 + place: 0x21 + place for place in range(0x5E)} | {0x3000: 0x20}
"""Full-width forms of ASCII's signs, which stand in one row in Unicode, and the space that goes with them."""


def ascii_signs(text: str) -> str:
    """The text with each decimal digit of any script (٣, ३) as one of 0 to 9, and full-width signs (Ａ, ３, ＋) narrow.

    Other signs that look like digits stay: superscripts (² is a power), subscripts, circled numbers, fractions.
    """
    if text.isascii():
        return text
    return _OTHER_DIGIT.sub(lambda match: str(unicodedata.decimal(match[0])), text.translate(_FULL_WIDTH))
