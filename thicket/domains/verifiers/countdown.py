"""An expression over the item's numbers has the item's target as its value."""

import re
from collections import Counter

from thicket.config.verifier import CountdownVerifier
from thicket.domains.arithmetic import Malformed, tokens, value
from thicket.domains.digits import ascii_digits
from thicket.domains.item import Item

SIGNS = {
    "×": "*",
    "·": "*",
    "⋅": "*",
    "÷": "/",
    "\u2212": "-",
    "\u2215": "/",
    r"\times": "*",
    r"\cdot": "*",
    r"\div": "/",
}
"""Operators as people and LaTeX write them, among them the minus sign U+2212 and the division slash U+2215."""
_SIGN = re.compile("|".join(map(re.escape, SIGNS)))
_RUN = re.compile(r"[-+*/()=0-9 \t]+")


def verify(config: CountdownVerifier, response: str, item: Item) -> bool:
    """Correct if the response's expression uses the item's numbers and reaches its target.

    An equals sign may part the expression from the target, on either side; a chain of equations is no expression.
    Raises: ValueError where the item has no `numbers` and `target` (whole numbers).
    """
    numbers, target = _task(item)
    sides = [side.strip() for side in _last_run(response).split("=")]
    if len(sides) == 2 and str(target) in sides:
        sides.remove(str(target))
    return len(sides) == 1 and _reaches(sides[0], numbers, target, config.all_numbers)


def extract(config: CountdownVerifier, response: str, item: Item) -> str:
    """The expression as it is written but for spaces, for votes: 3+4 and 4+3 are two answers."""
    return "".join(_last_run(response).split())


def _task(item: Item) -> tuple[list[int], int]:
    numbers, target = item.reference.get("numbers"), item.reference.get("target")
    if not isinstance(numbers, list) or not all(isinstance(n, int) for n in numbers) or not isinstance(target, int):
        raise ValueError(f"item {item.id}: the verifier `countdown` needs `numbers` and `target` in its reference")
    return numbers, target


def _last_run(response: str) -> str:
    """The last run of an expression's characters that holds a number, in the last answer tag or in the last line."""
    _, tag, answer = response.rpartition("</answer>")[0].rpartition("<answer>")
    text = answer if tag else response.strip().rpartition("\n")[2]
    plain = _SIGN.sub(lambda match: SIGNS[match[0]], ascii_digits(text))
    runs = [run for run in _RUN.findall(plain) if re.search("[0-9]", run)]
    return runs[-1].strip("*= \t") if runs else ""  # **3 + 4** is bold, and no power.


def _reaches(expression: str, numbers: list[int], target: int, all_numbers: bool) -> bool:
    try:
        found = tokens(expression)
        used = Counter(token.lstrip("0") or "0" for token in found if token.isdecimal())
        given = Counter(map(str, numbers))
        # The numbers are counted before anything is computed: a response can't make the arithmetic large.
        fits = used == given if all_numbers else used <= given
        return bool(used) and fits and value(found) == target
    except Malformed:
        return False
