"""An expression over the item's numbers has the item's target as its value."""

from collections import Counter

from thicket.config.verifier import CountdownVerifier
from thicket.domains.arithmetic import Malformed, tokens, value
from thicket.domains.expressions import statements
from thicket.domains.item import Item


def verify(config: CountdownVerifier, response: str, item: Item) -> bool:
    """Correct if the response's one expression uses the item's numbers and reaches its target.

    An equals sign may part the expression from the target, on either side; a chain of equations is no expression.
    Raises: ValueError where the item has no `numbers` and `target` (whole numbers).
    """
    numbers, target = _task(item)
    return _reaches(_expression(response, str(target)), numbers, target, config.all_numbers)


def extract(config: CountdownVerifier, response: str, item: Item) -> str:
    """The expression as it is written but for spaces, for votes: 3+4 and 4+3 are two answers."""
    return "".join(_expression(response, str(item.reference.get("target"))).split())


def _task(item: Item) -> tuple[list[int], int]:
    numbers, target = item.reference.get("numbers"), item.reference.get("target")
    if not isinstance(numbers, list) or not all(isinstance(n, int) for n in numbers) or not isinstance(target, int):
        raise ValueError(f"item {item.id}: the verifier `countdown` needs `numbers` and `target` in its reference")
    return numbers, target


def _expression(response: str, target: str) -> str:
    """The only expression in the last answer tag or else in the last line; empty where there is none, or several."""
    _, tag, answer = response.rpartition("</answer>")[0].rpartition("<answer>")
    text = answer if tag else response.strip(" \t\r\n`").rpartition("\n")[2]
    found = {"".join(written.split()): written for written in (_side(each, target) for each in statements(text))}
    return found.popitem()[1] if len(found) == 1 else ""


def _side(statement: str, target: str) -> str:
    """The side of an equation that has the target on its other side; all of any other statement."""
    sides = [side.strip() for side in statement.split("=")]
    if len(sides) == 2 and target in sides:
        sides.remove(target)
        return sides[0]
    return statement


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
