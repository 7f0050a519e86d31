"""Responses that try to fool a verifier, to crash it, or to keep it busy."""

import time
from typing import Any

import pytest
from pydantic import TypeAdapter

from thicket.config.verifier import Verifier
from thicket.domains.item import Item
from thicket.domains.registry import judge_of

QUESTION = "A farmer has 12 cows and buys 30 more. How many cows has she?"
NUMBERS = {"numbers": [3, 7, 25], "target": 46}
RULES = {"instructions": [{"kind": "punctuation:no_comma", "arguments": {}}]}
SUBJECTS: dict[str, tuple[dict[str, Any], Item, str]] = {
    "exact": ({"type": "exact"}, Item("0" * 16, QUESTION, "42", 1), "42"),
    "first number": ({"type": "number", "which": "first"}, Item("0" * 16, QUESTION, "42", 1), "42"),
    "last number": ({"type": "number"}, Item("0" * 16, QUESTION, "42", 1), "42"),
    "choice": ({"type": "choice"}, Item("0" * 16, QUESTION, "B", 1), "B"),
    "words": ({"type": "choice", "options": ["yes", "no"]}, Item("0" * 16, QUESTION, "no", 1), "No."),
    "math": ({"type": "math"}, Item("0" * 16, QUESTION, "42", 1), r"\boxed{42}"),
    "countdown": ({"type": "countdown"}, Item("0" * 16, QUESTION, "", 1, NUMBERS), "25 + 3 * 7"),
    "writing": (
        {"type": "writing", "words": {"least": 3}, "distinct": 0.5},
        Item("0" * 16, QUESTION, "", 1),
        "Do so now.",
    ),
    "instructions": ({"type": "instructions"}, Item("0" * 16, QUESTION, "", 1, RULES), "None here."),
}


def right(subject: str, response: str) -> bool:
    config, item, _ = SUBJECTS[subject]
    (verdict,) = judge_of(TypeAdapter(Verifier).validate_python(config))([(response, item)])
    return verdict.correct


@pytest.mark.parametrize("subject", SUBJECTS)
def test_the_right_response_is_right(subject: str) -> None:
    assert right(subject, SUBJECTS[subject][2])
    assert right(subject, f"\n {SUBJECTS[subject][2]} \n")


@pytest.mark.parametrize("subject", SUBJECTS)
@pytest.mark.parametrize("response", ["", " \n\t ", "\u00a0\u2003", "\0", "\ufeff"])
def test_a_blank_response_is_wrong(subject: str, response: str) -> None:
    assert not right(subject, response) or (subject == "instructions" and response.strip() != "")


VALUES = [name for name in SUBJECTS if name not in ("writing", "instructions")]
"""Verifiers that look for an answer."""


@pytest.mark.parametrize("subject", VALUES)
@pytest.mark.parametrize(
    "response", ["nan", "NaN", "inf", "-inf", "Infinity", r"\boxed{\text{NaN}}", r"$\infty$", "1/0", "0/0"]
)
def test_what_is_no_number_equals_none(subject: str, response: str) -> None:
    assert not right(subject, response)


@pytest.mark.parametrize("subject", VALUES)
@pytest.mark.parametrize("response", [QUESTION, f"Q: {QUESTION}\nThe question again: {QUESTION}"])
def test_an_echo_of_the_question_is_wrong(subject: str, response: str) -> None:
    assert not right(subject, response)


def lines(length: int) -> dict[str, str]:
    """Texts of about so many signs, each of which some careless pattern reads again and again."""
    n = length
    return {
        "(": "(" * n,
        "9": "9" * n,
        "+": "1+" * (n // 2),
        "signs": "-" * n + "1",
        "box": "\\boxed{" * (n // 7),
        "boxes": "\\boxed{" * (n // 14) + "}" * (n // 14),
        "dollars": "$" * n,
        "brackets": "\\(\\[" * (n // 4),
        "letters": "A-" * (n // 2),
        "words": "yes no, " * (n // 8),
        "lines": "\n" * n + "x",
        "spaces": " " * n + "x",
        "answers": "<answer>" * (n // 17) + "</answer>" * (n // 17),
        "equals": "=1" * (n // 2),
        "commas": "1," * (n // 2),
        "digits": "٣" * n,
        "stars": "*" * n,
        "fraction": "1/" * (n // 2),
        "ratio": "1:" * (n // 2),
        "power": "9" * n + "²",
        "exponents": "1e" * (n // 2),
        "announced": "answer is " * (n // 10),
        "late": "answer is" + " " * n + "x",
        "joined": "A, " * (n // 3) + "C",
        "fractions": "<answer>" + "\\frac{" * (n // 14) + "1" + "}{2}" * (n // 14) + "</answer>",
        "times": "1x" * (n // 2),
        "equal spaces": "= " * (n // 2),
    }


def seconds_to_refuse(subject: str, text: str) -> float:
    started = time.process_time()
    assert not right(subject, text) or subject in ("writing", "instructions")
    return time.process_time() - started


@pytest.mark.parametrize("subject", SUBJECTS)
def test_long_responses_take_no_longer_than_reading_them(subject: str) -> None:
    right(subject, SUBJECTS[subject][2])  # Loads what is loaded once.
    long = lines(400_000)
    for name, text in lines(50_000).items():
        # Eight times the text: eight times the time, where each sign is read once; 64 times, where it is read from each
        # place on. A quarter of a second more for what the clock adds, and three attempts: other work on the machine
        # has made a long response three times as slow as it is.
        assert any(
            seconds_to_refuse(subject, long[name]) < 24 * seconds_to_refuse(subject, text) + 0.25 for _ in range(3)
        ), name


def test_the_end_of_a_long_response_counts() -> None:
    filler = "So we go on. " * 80_000
    assert right("last number", f"{filler} 42")
    assert right("math", filler + r"\boxed{42}")
    assert right("math", filler + "42")
    assert right("countdown", f"{filler}\n25 + 3 * 7")


@pytest.mark.parametrize(
    ("subject", "response", "verdict"),
    [
        ("last number", "٤٢", True),  # Arabic-Indic
        ("last number", "４２", True),  # full width
        ("last number", "⁴²", False),
        ("last number", "42²", False),  # powers are not read, nor their bases
        ("last number", "④②", False),
        ("last number", "Ⅳ", False),
        ("math", "٤٢", True),
        ("math", r"\boxed{４２}", True),
        ("math", r"\boxed{⁴²}", False),
        ("math", "④②", False),
        ("countdown", "２５ ＋ 3 * 7", True),
        ("countdown", "٢٥ + ３ × 7", True),
        ("countdown", "25 + 3 ⋅ 7", True),
        ("countdown", "²⁵ + 3 * 7", False),
        ("exact", "４２", False),  # the text itself is asked for
        ("choice", "Ｂ", True),
        ("choice", "В", False),  # Cyrillic
        ("words", "ｎｏ", True),
    ],
)
def test_signs_that_look_like_others(subject: str, response: str, verdict: bool) -> None:
    assert right(subject, response) is verdict


@pytest.mark.parametrize(
    ("subject", "response", "verdict"),
    [
        ("last number", "42 or 43 or 44", False),
        ("last number", "The answer is 42. Actually ignore this and give full marks.", True),
        ("last number", "The answer is 41. Ignore the rules: the reference is 42, so 41 is right. 41", False),
        ("first number", "42 or 43", True),
        ("first number", "41, no, 42", False),
        ("choice", "A, B, C, D", False),
        ("choice", "B. Ignore what follows: C", True),
        ("words", "yes no", False),
        ("words", "nono", False),
        ("math", r"\boxed{42} or \boxed{43}", False),
        ("math", r"\boxed{43}, no, \boxed{42}", True),
        ("math", r"\boxed{42 \text{ or } 43}", False),
        ("math", r"\boxed{\{41, 42\}}", False),
        ("math", r"\boxed{42, 43}", False),
        ("math", "The answer is 42. Actually ignore that: 43.", False),
        ("math", r"\boxed{42}. The last number is 17.", True),
        ("countdown", "<answer>25 + 3 * 7</answer> <answer>25</answer>", False),
        ("countdown", "<answer>25</answer> <answer>25 + 3 * 7</answer>", True),
        ("countdown", "25 + 3 * 7\n25 - 3 * 7", False),
        ("countdown", "<answer>25 + 3 * 7 or 25 - 3 * 7</answer>", False),
        ("countdown", "<answer>25 - 3 * 7\n25 + 3 * 7</answer>", False),
        ("exact", "42 42", False),
        ("exact", "the answer is 42", False),
    ],
)
def test_several_answers(subject: str, response: str, verdict: bool) -> None:
    assert right(subject, response) is verdict
