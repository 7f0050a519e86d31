"""The value of an arithmetic expression: a parser of its own, so that text is never run, and exact fractions."""

import re
from fractions import Fraction

MAX_DEPTH = 32
"""Parentheses and signs inside one another; each goes a few calls deep, and Python's stack holds about a thousand."""
_TOKEN = re.compile(r"\s*([0-9]+|[-+*/()])")


class Malformed(ValueError):
    """The text is no expression, or one without a value."""


def tokens(text: str) -> list[str]:
    """Whole numbers, operators and parentheses. Raises: Malformed where anything else stands in the text."""
    found, end = [], 0
    text = text.rstrip()
    while end < len(text):
        match = _TOKEN.match(text, end)
        if match is None:
            raise Malformed(f"{text[end]!r} is no part of an expression")
        found.append(match[1])
        end = match.end()
    return found


def value(expression: list[str]) -> Fraction:
    """The value of tokens in the usual precedence; signs before a term are allowed. Raises: Malformed."""
    parser = _Parser(expression)
    result = parser.sum(0)
    if parser.ahead:
        raise Malformed(f"{parser.ahead!r} is one too many")
    return result


class _Parser:
    """Recursive descent: sum = product {(+|-) product}; product = factor {(*|/) factor}."""

    def __init__(self, expression: list[str]):
        self._waiting = iter([*expression, ""])
        self.ahead = next(self._waiting)

    def _take(self) -> str:
        taken, self.ahead = self.ahead, next(self._waiting, "")
        return taken

    def sum(self, depth: int) -> Fraction:
        result = self._product(depth)
        while self.ahead in ("+", "-"):
            result += self._product(depth) if self._take() == "+" else -self._product(depth)
        return result

    def _product(self, depth: int) -> Fraction:
        result = self._factor(depth)
        while self.ahead in ("*", "/"):
            if self._take() == "*":
                result *= self._factor(depth)
            elif divisor := self._factor(depth):
                result /= divisor
            else:
                raise Malformed("division by 0")
        return result

    def _factor(self, depth: int) -> Fraction:
        """factor = number | "(" sum ")" | (+|-) factor."""
        if depth > MAX_DEPTH:
            raise Malformed(f"deeper than {MAX_DEPTH}")
        token = self._take()
        if token.isdecimal():
            return Fraction(int(token))
        if token == "(":
            inner = self.sum(depth + 1)
            if self._take() != ")":
                raise Malformed("a parenthesis stays open")
            return inner
        if token in ("+", "-"):
            return self._factor(depth + 1) * (1 if token == "+" else -1)
        raise Malformed(f"{token!r} where a number belongs")
