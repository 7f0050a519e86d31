"""Decimal digits of other scripts, which mean the same numbers."""

import re
import unicodedata

_OTHER_DIGIT = re.compile(r"(?![0-9])\d")


def ascii_digits(text: str) -> str:
    """The text with each decimal digit of any script (٣, ３, ३) as one of 0 to 9.

    Other signs that look like digits stay: superscripts (² is a power), subscripts, circled numbers, fractions.
    """
    return text if text.isascii() else _OTHER_DIGIT.sub(lambda match: str(unicodedata.decimal(match[0])), text)
