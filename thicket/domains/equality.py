"""Whether two answers are the same mathematics, by math-verify: what a worker of the pool runs."""

import logging
from typing import Any

from thicket.domains.wording import same_text, textual
from thicket.domains.written import parseable, terms, values

_BRACES = ("\\{", "\\left\\{", "\\lbrace")
"""What a set begins with."""


def prepare() -> None:
    """Loads sympy, for which a worker has time before its first call."""
    import math_verify

    logging.getLogger(math_verify.__name__).setLevel(logging.ERROR)  # It warns of every call without a time limit.


def equivalent(reference: str, answer: str) -> bool:
    """Whether an answer is the reference as mathematics. Slow, and it may not end.

    Formulas are LaTeX that sympy finds equal, parsed by a grammar; no text is run. What the grammar can't read equals
    nothing. Of an equation all sides but a name have to be the reference: 3 = 5 is no way to say 5.
    """
    given = [answer] if "=" in reference else values(answer)
    return bool(given) and all(_same(reference, side) for side in given)


def _same(reference: str, answer: str) -> bool:
    if textual(reference, answer):
        return same_text(reference, answer)
    expected, given = terms(reference), terms(answer)
    if len(expected) != len(given):
        return False  # A ratio is compared with ratios alone.
    if len(expected) == 1:
        return _equal_percentages(reference, answer)
    # 3:4 = 6:8, since each term is the same share of the first.
    shares = zip(expected[1:], given[1:], strict=True)
    return all(_equal(_over(one, expected[0]), _over(other, given[0])) for one, other in shares)


def _equal_percentages(reference: str, answer: str) -> bool:
    """50% is 50 or 0.5 next to an answer without a percent sign; next to another percentage it is itself."""
    one, other = reference.replace("%", ""), answer.replace("%", "")
    if _equal(one, other):
        return True
    if ("%" in reference) == ("%" in answer):
        return False
    return _equal(_over(one, "100"), other) if "%" in reference else _equal(one, _over(other, "100"))


def _over(numerator: str, denominator: str) -> str:
    return rf"\frac{{{numerator}}}{{{denominator}}}"


def _equal(reference: str, answer: str) -> bool:
    from math_verify import verify
    from sympy import FiniteSet, Interval, Tuple

    expected, given = _parsed(reference), _parsed(answer)
    for one, other, text in ((expected, given, reference), (given, expected, answer)):
        # To math-verify {1, 2} equals (1, 2), which it takes for an interval.
        if text.lstrip().startswith(_BRACES) and _some(one, FiniteSet) and _some(other, (Tuple, Interval)):
            return False
    return bool(expected and given) and verify(expected, given, timeout_seconds=0)


def _parsed(text: str) -> list[Any]:
    from math_verify import LatexExtractionConfig, parse

    # Its own limits need signals, and those the main thread; the pool of workers has limits that hold.
    config = [LatexExtractionConfig()]
    return parse(f"${parseable(text)}$", extraction_config=config, fallback_mode="no_fallback", parsing_timeout=0)


def _some(values: list[Any], kind: type | tuple[type, ...]) -> bool:
    return any(isinstance(value, kind) for value in values)
