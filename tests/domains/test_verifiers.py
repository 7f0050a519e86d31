"""Verdicts: right and wrong responses, and responses that try a verifier's patience."""

import time
from typing import Any

import pytest

from thicket.config.domain import (
    ChoiceVerifier,
    ExactVerifier,
    InstructionsVerifier,
    NumberVerifier,
    ReasoningGymSource,
    ReasoningGymVerifier,
    Verifier,
)
from thicket.domains.instructions import follows
from thicket.domains.item import Item
from thicket.domains.registry import raw_items, verifier_of

LAST, FIRST = NumberVerifier(type="number"), NumberVerifier(type="number", which="first")
CHOICE, EXACT = ChoiceVerifier(type="choice", letters="ABCD"), ExactVerifier(type="exact")


def verdict(verifier: Verifier, response: str, answer: str, **reference: Any) -> bool:
    return verifier_of(verifier)(response, Item("0" * 16, "?", answer, 1, reference))


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
    ],
)
def test_verdicts(verifier: Verifier, response: str, answer: str, right: bool) -> None:
    assert verdict(verifier, response, answer) is right


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


def test_reasoning_gym_items_are_the_same_in_every_run_and_judged_by_their_scorer() -> None:
    pytest.importorskip("reasoning_gym")
    source = ReasoningGymSource(type="reasoning-gym", task="gcd", params={"min_value": 2, "max_value": 30})
    first, again = ([next(items) for _ in range(5)] for items in (raw_items(source, 0), raw_items(source, 0)))
    assert first == again
    assert first != [next(raw_items(source, 1)) for _ in range(5)]
    verifier = ReasoningGymVerifier(type="reasoning-gym")
    for raw in first:
        assert verdict(verifier, raw.answer, raw.answer, **raw.reference)
        assert not verdict(verifier, f"{raw.answer}1", raw.answer, **raw.reference)


def test_an_unknown_task_names_the_nearest() -> None:
    pytest.importorskip("reasoning_gym")
    with pytest.raises(ValueError, match="letter_counting"):
        next(raw_items(ReasoningGymSource(type="reasoning-gym", task="leter_counting"), 0))
