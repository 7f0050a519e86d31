"""Verdicts: right and wrong responses, and responses that try a verifier's patience."""

import time
from typing import Any

import pytest

from thicket.config.verifier import (
    ChoiceVerifier,
    ExactVerifier,
    InstructionsVerifier,
    NumberVerifier,
    Verifier,
)
from thicket.domains.instructions import follows
from thicket.domains.item import Item
from thicket.domains.registry import judge_of
from thicket.domains.verifiers.number import numbers

LAST, FIRST = NumberVerifier(type="number"), NumberVerifier(type="number", which="first")
CHOICE_LAST = ChoiceVerifier(type="choice", options="ABCD", which="last")
WORDS = ChoiceVerifier(type="choice", options=["yes", "no"])
CHOICE, EXACT = ChoiceVerifier(type="choice", options="ABCD"), ExactVerifier(type="exact")


def verdict(verifier: Verifier, response: str, answer: str, **reference: Any) -> bool:
    (found,) = judge_of(verifier)([(response, Item("0" * 16, "?", answer, 1, reference))])
    return found.correct


@pytest.mark.parametrize(
    ("verifier", "response", "answer", "right"),
    [
        (EXACT, " 123\n", "123", True),
        (EXACT, "1234", "123", False),
        (EXACT, "", "123", False),
        (LAST, "3 and 4 make 7.", "7", True),
        (FIRST, "3 and 4 make 7.", "7", False),
        (FIRST, "7 is 3 and 4", "7", True),
        (LAST, "#### 1,234", "1234", True),
        (LAST, "it is -5", "−5", True),
        (LAST, "12-5", "5", True),
        (LAST, "$7.50", "7.5", True),
        (LAST, "3/4", "0.75", True),
        (LAST, "no number", "7", False),
        (LAST, "", "7", False),
        (NumberVerifier(type="number", tolerance=0.1), "3.1", "3.14", True),
        (NumberVerifier(type="number", tolerance=0.01), "3.1", "3.14", False),
        (CHOICE, "The answer is (B).", "B", True),
        (CHOICE, "**C**", "C", True),
        (CHOICE, "An Apple", "A", False),
        (CHOICE, "A or B", "B", False),
        (CHOICE, "", "A", False),
        (CHOICE_LAST, "A or B", "B", True),
        (CHOICE_LAST, "B, and not A", "B", False),
        (WORDS, "Yes, no doubt", "yes", True),
        (WORDS, "**YES**", "Yes", True),
        (WORDS, "yesterday; no", "no", True),
        (WORDS, "I know, yes-men", "no", False),
        (WORDS, "", "no", False),
    ],
)
def test_verdicts(verifier: Verifier, response: str, answer: str, right: bool) -> None:
    assert verdict(verifier, response, answer) is right


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("", []),
        ("12 and 12. and #### 12", ["12", "12", "12"]),
        ("1,234,567.50 or 1,2,3 or 1,2345", ["1234567.50", "1", "2", "3", "1", "2345"]),
        ("-3, −3, +3, (-3), =-3, $-3, -$3", ["-3", "-3", "3", "-3", "-3", "-3", "-3"]),
        ("12-5, 12 - 5, x)-5, 2020-01-05", ["12", "5", "12", "5", "5", "2020", "1", "5"]),
        ("$7.50, 50%, .5, 1.5., **4**, _4_", ["7.50", "50", "0.5", "1.5", "4", "4"]),
        ("3/4, -1/8, 5/0", ["0.75", "-0.125", "5", "0"]),
        ("x2, H2O, 7th, 3e5, ²", ["7", "3"]),
        ("٣, ３.５, १,२३४, ⅔", ["3", "3.5", "1234"]),
        ("nan, inf, -inf, NaN, Infinity", []),
    ],
)
def test_what_is_a_number(text: str, read: list[str]) -> None:
    assert [str(number) for number in numbers(text)] == read


def test_equal_fractions_and_huge_numbers() -> None:
    assert verdict(LAST, "2/6", "1/3")
    assert not verdict(LAST, "0.3333", "1/3")
    assert verdict(LAST, "9" * 10_000, "9" * 10_000)
    assert not verdict(LAST, "9" * 9_999 + "8", "9" * 10_000)
    assert verdict(NumberVerifier(type="number", tolerance=0.3), "0.3", "0")  # 0.3 as a float is a little less


def test_answers_that_a_verifier_cannot_use() -> None:
    with pytest.raises(ValueError, match=r"item 0{16}: the answer 'four' holds no number"):
        verdict(LAST, "4", "four")
    with pytest.raises(ValueError, match=r"item 0{16}: the answer 'E' is not an option; allowed: A, B, C, D"):
        verdict(CHOICE, "E", "E")
    with pytest.raises(ValueError, match=r"the answer 'maybe' is not an option; allowed: yes, no"):
        verdict(WORDS, "yes", "maybe")
    assert not verdict(EXACT, "", "")  # many right answers, none of which can be named


@pytest.mark.parametrize("text", ["B", "(B)", "B.", "'B'", "**B**", "Answer:B", "It's B, not A", "A-level: B", "a b B"])
def test_a_letter_that_stands_alone(text: str) -> None:
    assert verdict(CHOICE, text, "B")


@pytest.mark.parametrize("text", ["b", "Bob", "B2", "B's", "B-52", "plan-B", "d'B", "A B", "éB"])
def test_a_letter_that_does_not(text: str) -> None:
    assert not verdict(CHOICE, text, "B")


@pytest.mark.parametrize("verifier", [EXACT, LAST, CHOICE])
@pytest.mark.parametrize(
    "text", ["9" * 100_000, "1," * 50_000, "(" * 100_000, "A-" * 50_000, "-" * 100_000 + "1", "0." * 50_000]
)
def test_long_responses_take_no_longer_than_their_length_asks(verifier: Verifier, text: str) -> None:
    started = time.process_time()
    verdict(verifier, text, "A" if verifier is CHOICE else "7")
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    ("kind", "arguments", "good", "bad"),
    [
        ("punctuation:no_comma", {}, "One two three.", "One, two."),
        ("change_case:english_lowercase", {}, "all small.", "Not small."),
        ("change_case:english_capital", {}, "ALL LARGE.", "Not LARGE."),
        ("detectable_format:number_bullet_lists", {"num_bullets": 2}, "* a\n* b", "* a"),
        ("detectable_format:title", {}, "<<A title>>\ntext", "A title\ntext"),
        ("startend:quotation", {}, '"Quoted."', "Not quoted."),
        ("startend:end_checker", {"end_phrase": "The end."}, "Text. The end.", "The end. Text."),
        ("keywords:existence", {"keywords": ["moon", "sea"]}, "The moon and the sea", "The moon"),
        ("keywords:forbidden_words", {"forbidden_words": ["moon"]}, "The sea", "The moon"),
        ("length_constraints:number_words", {"relation": "at least", "num_words": 3}, "one two three", "one two"),
        ("detectable_content:number_placeholders", {"num_placeholders": 2}, "[a] [b]", "[a]"),
        ("detectable_format:json_format", {}, '{"a": 1}', "{a: 1}"),
    ],
)
def test_instructions(kind: str, arguments: dict[str, Any], good: str, bad: str) -> None:
    assert follows(good, kind, arguments, False)
    assert not follows(bad, kind, arguments, False)
    instructions = [{"kind": kind, "arguments": arguments}]
    strict, loose = (InstructionsVerifier(type="instructions", mode=mode) for mode in ("strict", "loose"))
    assert verdict(strict, good, "", instructions=instructions)
    assert not verdict(strict, bad, "", instructions=instructions)
    assert verdict(loose, good, "", instructions=instructions)


def test_loose_forgives_a_first_line() -> None:
    follows_ = ("change_case:english_lowercase", {})
    assert not follows("Sure!\nall small.", *follows_, False)
    assert follows("Sure!\nall small.", *follows_, True)
