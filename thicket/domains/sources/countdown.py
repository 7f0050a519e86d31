"""Countdown: numbers, and a target that an expression over them reaches."""

import random
from collections.abc import Iterator

from thicket.config.source import CountdownSource
from thicket.domains.item import RawItem

Term = tuple[int, str, bool]
"""A value, an expression for it, and whether the expression has an operator at its outermost level."""


def raw_items(source: CountdownSource, seed: int) -> Iterator[RawItem]:
    """Endless items, levels drawn evenly; repeats are possible. The answer is one solution out of many."""
    rng = random.Random(f"countdown:{seed}")
    while True:
        yield _item(rng, source, rng.choice(source.levels))


def _item(rng: random.Random, source: CountdownSource, level: int) -> RawItem:
    """Draws until the target is in the range, and none of the numbers: that would solve itself."""
    low, high = source.target
    while True:
        numbers = sorted(rng.randint(1, source.largest) for _ in range(level))
        target, solution = combine(rng, numbers)
        if low <= target <= high and target not in numbers:
            question = f"Numbers: {', '.join(map(str, numbers))}. Target: {target}."
            return RawItem(question, solution, level, {"numbers": numbers, "target": target})


def combine(rng: random.Random, numbers: list[int]) -> tuple[int, str]:
    """A value that the numbers reach, each used once, and an expression for it.

    Two terms at a time, drawn evenly, become one by an operator that keeps the value a whole number above 0.
    """
    terms: list[Term] = [(number, str(number), False) for number in numbers]
    while len(terms) > 1:
        rng.shuffle(terms)
        terms.append(rng.choice(_joined(terms.pop(), terms.pop())))
    return terms[0][:2]


def _joined(left: Term, right: Term) -> list[Term]:
    """What two terms make: the larger stands first, so that no difference or quotient is below 1 by their order."""
    (a, larger), (b, smaller) = sorted(((term[0], _enclosed(term)) for term in (left, right)), reverse=True)
    made: list[Term] = [(a + b, f"{larger} + {smaller}", True), (a * b, f"{larger} * {smaller}", True)]
    if a > b:
        made.append((a - b, f"{larger} - {smaller}", True))
    if a % b == 0:
        made.append((a // b, f"{larger} / {smaller}", True))
    return made


def _enclosed(term: Term) -> str:
    return f"({term[1]})" if term[2] else term[1]
