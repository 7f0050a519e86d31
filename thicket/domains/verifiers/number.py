"""A number in the response equals the answer's number."""

import re
from decimal import MAX_EMAX, Context, Decimal

from thicket.config.verifier import NumberVerifier
from thicket.domains.digits import POWERS, THOUSANDS, ascii_signs
from thicket.domains.item import Item

# A sign counts where no word, number or bracket stands before it: 12-5 is 12 and 5. Digits of a word (x2) don't count.
_NUMBER = re.compile(
    rf"""
    (?:(?<![\w)\]])(?P<sign>[-+\u2212]))?  # also the minus sign U+2212
    \$?
    (?<![^\W_])(?<!\^)(?<!\^\{{)(?<![0-9]:)
    (?P<whole>{THOUSANDS}|[0-9]++|(?=\.[0-9]))
    (?P<decimals>\.[0-9]++)?
    (?P<exponent>[eE][-+]?[0-9]{{1,3}}+(?!\w))?
    (?:/(?P<denominator>0*+[1-9][0-9]*+))?
    (?P<more>
        (?:[:/.][0-9]++)++  # a time, a ratio, a date, a version, a division by 0
        | (?<=[0-9]{{4}})-[0-9]{{2}}-[0-9]{{2}}(?![0-9])  # a date
        | \^(?!\{{?\\circ)\{{?[-+]?[0-9]*+ | [{POWERS}]++  # a power
        | [eE][-+]?[0-9]++  # a number too large or too small to be meant
    )?
    """,
    re.VERBOSE,
)
"""A number with what would make it none."""
_DIGITS = Context(prec=50, Emax=MAX_EMAX)
"""Fifty significant digits for quotients and differences, of numbers of any size. Decimal, because Python refuses to
read whole numbers of more than 4300 digits, and a response may hold one."""


def verify(config: NumberVerifier, response: str, item: Item) -> bool:
    """Correct if the first or last number of the response is within the tolerance of the answer's last number.

    "1,234.50", "1{,}234", "-3", "−3", "$5", "50%" (fifty), "3/4", ".5", "5e3", "#### 12", "12." and "３" are numbers.
    None are powers (5², 5^2), times and ratios (5:00, 3:4), dates (2024-05-03, 3/5/2024), 5/0, "nan" and "inf".
    Raises: ValueError where the item's answer holds no number.
    """
    expected = numbers(item.answer)
    if not expected:
        raise ValueError(f"item {item.id}: the answer {item.answer!r:.60} holds no number for the verifier `number`")
    given = _given(config, response)
    return given is not None and _DIGITS.subtract(given, expected[-1]).copy_abs() <= Decimal(repr(config.tolerance))


def extract(config: NumberVerifier, response: str, item: Item) -> str | None:
    """The number that counts, as text that equal numbers share: `1,200.50` is `1200.5`, −0 is `0`; None without one."""
    given = _given(config, response)
    if given is None:
        return None
    text = format(given, "f") if given else "0"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _given(config: NumberVerifier, response: str) -> Decimal | None:
    """The number of the response that counts."""
    found = numbers(response)
    if not found:
        return None
    return found[0] if config.which == "first" else found[-1]


def numbers(text: str) -> list[Decimal]:
    """The numbers in a text, in order."""
    return [_value(match) for match in _NUMBER.finditer(ascii_signs(text)) if not match["more"]]


def _value(match: re.Match[str]) -> Decimal:
    whole = re.sub(r"[^0-9]", "", match["whole"])
    value = Decimal((whole or "0") + (match["decimals"] or "") + (match["exponent"] or ""))
    if match["denominator"]:
        value = _DIGITS.divide(value, Decimal(match["denominator"]))
    return value.copy_negate() if match["sign"] in ("-", "\u2212") else value
