"""What votes count: the answer in a response, as text that equal answers share."""

import pytest

from thicket.config.verifier import (
    ChoiceVerifier,
    CountdownVerifier,
    ExactVerifier,
    InstructionsVerifier,
    MathVerifier,
    NumberVerifier,
    Verifier,
)
from thicket.domains.item import Item
from thicket.domains.registry import extract_of

NUMBER = NumberVerifier(type="number")
FIRST = NumberVerifier(type="number", which="first")
CHOICE = ChoiceVerifier(type="choice", options="ABCD")
WORDS = ChoiceVerifier(type="choice", options=["yes", "no"], which="last")
EXACT = ExactVerifier(type="exact")
MATH = MathVerifier(type="math")
COUNTDOWN = CountdownVerifier(type="countdown")
INSTRUCTIONS = InstructionsVerifier(type="instructions")
ITEM = Item("a", "", "1", 1)


@pytest.mark.parametrize(
    ("verifier", "response", "answer"),
    [
        (NUMBER, "3 and 1,200.50", "1200.5"),
        (FIRST, "3 and 1,200.50", "3"),
        (NUMBER, "007", "7"),
        (NUMBER, "-0.0", "0"),
        (NUMBER, "3/4", "0.75"),
        (NUMBER, "100", "100"),
        (NUMBER, "−5 apples", "-5"),
        (NUMBER, "9" * 5000 + ".10", "9" * 5000 + ".1"),
        (NUMBER, "5e3", "5000"),
        (NUMBER, "no number", None),
        (CHOICE, "Answer: (B), not C", "B"),
        (CHOICE, "b", "B"),
        (CHOICE, "A or B", None),
        (WORDS, "No! Or YES.", "yes"),
        (EXACT, " 1234\n", "1234"),
        (EXACT, " \n", ""),
        (MATH, r"so $x$ is \boxed{12\%}.", "12%"),
        (MATH, r"1/2, or \boxed{0.5}", "0.5"),
        (MATH, "no idea", ""),
        (COUNTDOWN, "<answer>3 + 4 × 2 = 11</answer>", "3+4*2=11"),
        (COUNTDOWN, "<answer>3 + 4 or 4 + 3</answer>", ""),
        (COUNTDOWN, "no idea", ""),
        (INSTRUCTIONS, " as it is \n", "as it is"),
    ],
)
def test_the_answer_in_a_response(verifier: Verifier, response: str, answer: str | None) -> None:
    assert extract_of(verifier)(response, ITEM) == answer
