"""Verdicts: right and wrong responses, and responses that try a verifier's patience."""

import re
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
from thicket.domains.registry import extract_of, judge_of
from thicket.domains.verdict import Verdict
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
        (CHOICE_LAST, "A or B", "B", False),
        (CHOICE_LAST, "B, and not A", "B", True),
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
        ("12-5, 12 - 5, x)-5, 2020-1", ["12", "5", "12", "5", "5", "2020", "1"]),
        ("$7.50, 50%, .5, 1.5., **4**, _4_", ["7.50", "50", "0.5", "1.5", "4", "4"]),
        ("3/4, -1/8, 5/0", ["0.75", "-0.125"]),
        ("x2, H2O, 7th, ²", ["7"]),
        ("5e3, 1.5E-2, -2e+1, 3e2/2, 2e", ["5E+3", "0.015", "-2E+1", "1.5E+2", "2"]),
        ("5e9999, 5e-99999, 5e3x", []),
        ("5², 42³, 1,000², 1½, 5^2, x^2, 10^{-3}", []),
        ("90^\\circ", ["90"]),
        ("5:00, 10:08:30, 3:4, 2024-05-03, -2024-05-03, 2024-05-03T10:00, 3/5/2024, 03.05.2024, 1.2.3", []),
        ("at 5:00 pm 3 of 4", ["3", "4"]),
        ("Answer:5, 2020-1-5", ["5", "2020", "1", "5"]),
        ("1{,}000, 1\\,000, 1,\\!000", ["1000", "1000", "1000"]),
        ("－５, ５００％, 7個", ["-5", "500", "7"]),
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


@pytest.mark.parametrize("text", ["Bob", "B2", "B's", "B-52", "plan-B", "d'B", "A B", "éB"])
def test_a_letter_that_does_not(text: str) -> None:
    assert not verdict(CHOICE, text, "B")


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("The answer is B, not A", "B"),
        ("A is wrong. C too. The answer is B. D is wrong.", "B"),
        ("A or C? Answer: B", "B"),
        ("**Answer:** B, since A is too small", "B"),
        ("Final Answer: (B). Not C", "B"),
        ("A is near. The answer is option B", "B"),
        (r"A, so \boxed{B}, not C", "B"),
        (r"A. The answer is: $\boxed{\text{(B)}}$, not C", "B"),
        ("C isn't it, nor is A.\n\n(B)\n", "B"),
        ("Is it C or A?\n**B**", "B"),
        ("The answer is not A but B", "B"),
        ("not (A), so (B)", "B"),
        ("A and B", None),
        ("A or B", None),
        ("A, B", None),
        ("(A) and (B)", None),
        ("The answer is A and B. C", None),
        ("Answer: A, B", None),
        ("Both B and B", "B"),
        ("b", "B"),
        (" b.\n", "B"),
        ("(b)", "B"),
        ("b) moon", "B"),
        ("Answer: b", "B"),
        ("answer: b) moon", "B"),
        (r"A. \boxed{b}", "B"),
        ("the answer is b, since", "B"),
        ("I take (b) here", "B"),
        ("a moon", None),
        ("The answer is a large moon", None),
        ("answer: a moon", None),
        ("f(b) is a moon", None),
        ("(b) or (c)", None),
        ("answer: b, c", None),
        ("Ｂ", "B"),
        ("（Ｂ）", "B"),
        ("答え：Ｂ", "B"),
    ],
)
def test_an_announced_option_wins_and_two_are_none(text: str, letter: str | None) -> None:
    for verifier in (CHOICE, CHOICE_LAST):
        assert extract_of(verifier)(text, Item("0" * 16, "?", "A", 1)) == letter


def test_of_several_announced_options_the_config_chooses() -> None:
    text = "The answer is A. Wait, C. No: the answer is B. D?"
    assert verdict(CHOICE, text, "A")
    assert verdict(CHOICE_LAST, text, "B")
    assert verdict(WORDS, "No! The answer is yes; no isn't.", "yes")
    assert not verdict(WORDS, "yes or no", "yes")
    assert not verdict(WORDS, "not yes", "yes")
    assert verdict(ChoiceVerifier(type="choice", options=["in", "out"]), "İn", "in")  # to `casefold` another word
    small = ChoiceVerifier(type="choice", options="abcd")
    assert verdict(small, "b", "b")
    assert verdict(small, "(B)", "b")
    assert not verdict(small, "B is a moon", "b")


@pytest.mark.parametrize("verifier", [EXACT, LAST, CHOICE])
@pytest.mark.parametrize(
    "text",
    [
        "9" * 100_000,
        "1," * 50_000,
        "(" * 100_000,
        "A-" * 50_000,
        "-" * 100_000 + "1",
        "0." * 50_000,
        "1:" * 50_000 + "x",
        "9" * 100_000 + "²",
        "1e" * 50_000,
        "answer is " * 10_000,
        "answer is" + " " * 100_000 + "x",
        "A, " * 50_000 + "B",
        "a) b " * 20_000,
        "A" + " )" * 50_000,
        "A\n" * 50_000 + "B",
        "\\boxed{" * 15_000,
    ],
    ids=lambda text: f"{text[:12]}…",
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


class Plugged:
    """The module of a verifier of somebody's own."""

    def __init__(self, says: Any):
        self.says = says

    def verify(self, config: Verifier, response: str, item: Item) -> Any:
        return self.says[response]


@pytest.mark.parametrize(
    ("response", "said"),
    [
        ("half", "a verdict is true or false, not 0.5; partial credit is the grade of a Verdict(correct, grade=0.5)"),
        ("nothing", "a verdict is true or false, not None"),
        ("odd", "KeyError: 'odd'"),
    ],
)
def test_what_a_verifier_of_ones_own_does_wrong_is_said_with_the_response(
    response: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Plugged({"half": 0.5, "nothing": None, "yes": True})
    monkeypatch.setattr("thicket.domains.registry.code_of", lambda *_: own)
    item = Item("0" * 16, "?", "", 1)
    assert judge_of(EXACT)([("yes", item)]) == [Verdict(True)]
    with pytest.raises(ValueError, match=re.escape(f"verifier exact, item {item.id}, response '{response}': {said}")):
        judge_of(EXACT)([("yes", item), (response, item)])


def test_a_grade_is_partial_credit_and_a_verdict_earns_it() -> None:
    graded = [Verdict(True), Verdict(False), Verdict(False, grade=0.25), Verdict(True, grade=0.75)]
    assert [one.earned for one in graded] == [1.0, 0.0, 0.25, 0.75]
    for strange in (1.5, -0.5, float("nan")):
        with pytest.raises(ValueError, match="a verdict's grade is between 0 and 1, not"):
            Verdict(True, grade=strange)


def test_a_verifier_of_ones_own_may_give_a_verdict_with_its_grade(monkeypatch: pytest.MonkeyPatch) -> None:
    own = Plugged({"near": Verdict(False, grade=0.5), "yes": True})
    monkeypatch.setattr("thicket.domains.registry.code_of", lambda *_: own)
    item = Item("0" * 16, "?", "", 1)
    assert judge_of(EXACT)([("near", item), ("yes", item)]) == [Verdict(False, grade=0.5), Verdict(True)]
