"""The verifier `math`: where an answer stands, what equals it, and answers that sympy can't get over."""

import time
from typing import Any

import pytest

from thicket.config.verifier import MathVerifier
from thicket.domains import mathematics
from thicket.domains.item import Item
from thicket.domains.mathematics import answer_in, boxed, plain_form
from thicket.domains.verdict import Verdict
from thicket.domains.verifiers import math

CONFIG = MathVerifier(type="math", seconds=20.0)


def verdicts(pairs: list[tuple[str, str]], config: MathVerifier = CONFIG) -> list[Verdict]:
    """Of (response, reference answer) pairs."""
    return math.judge(config, [(response, Item("0" * 16, "?", answer, 1)) for response, answer in pairs])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (r"\boxed{5}", "5"),
        (r"So \boxed{ \frac{1}{2} } and 7.", r"\frac{1}{2}"),
        (r"\boxed{3}, then \boxed{4}", "4"),
        (r"\boxed{3}, then \boxed{4", "3"),
        (r"\boxed{\boxed{5}}", "5"),
        (r"\boxed{x = \boxed{5}}", "5"),
        (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
        (r"}}} \boxed{6} {{{", "6"),
        (r"\boxed {7}", "7"),
        (r"\boxed 8 is it", "8"),
        (r"\fbox{9}", "9"),
        (r"\boxed{}", None),
        (r"\boxed{4", "4"),  # no box: the last number
        ("it is $x^2+1$, really", "x^2+1"),
        ("it is $$x$$ and \\(y+1\\)", "y+1"),
        ("\\[ z = 2 \\] is it", "z = 2"),
        ("$x$ is 3", "3"),
        ("it costs $5 and $10", "10"),
        ("#### 1,234.50", "1,234.50"),
        ("it's -3.", "-3"),
        ("x-3 is 3/4", "3/4"),
        ("x^2 + 1", "x^2 + 1"),
        (r"\frac{1}{2}", r"\frac{1}{2}"),
        ("water is H2O", None),
        ("no number", None),
        ("", None),
    ],
)
def test_where_the_answer_stands(text: str, found: str | None) -> None:
    assert answer_in(text) == found


def test_a_box_that_is_too_long_is_no_answer() -> None:
    assert answer_in(r"\boxed{" + "1" * mathematics.TAIL + "}") == "1" * mathematics.TAIL
    assert answer_in(r"\boxed{" + "1" * (mathematics.TAIL + 1) + "}") is None


def test_boxes_without_braces_that_match() -> None:
    assert boxed("no box") is None
    assert boxed(r"\boxed{1} \boxed{2 \boxed{3") == "1"
    assert boxed(r"\boxed{1}} \boxed{2}}}") == "2"


@pytest.mark.parametrize(("text", "plain"), [("$5", "5"), (r"\$5.", "5"), (r"50\%", "50"), (" 3. ", "3"), ("$x$", "x")])
def test_what_changes_no_value(text: str, plain: str) -> None:
    assert plain_form(text) == plain


def test_equal_and_different_answers() -> None:
    equal = [
        (r"\boxed{0.5}", r"\frac12"),
        (r"\boxed{1/2}", r"\frac{1}{2}"),
        (r"\boxed{\dfrac{2}{4}}", "1/2"),
        ("$1 + x^2$", "x^2+1"),
        (r"\boxed{x = 5}", "5"),
        (r"\boxed{2\sqrt{3}}", r"\sqrt{12}"),
        (r"\boxed{3, 2}", "2,3"),
        (r"\boxed{90^\circ}", "90"),
        (r"\boxed{1,000}", "1000"),
        ("It is 50%.", r"50\%"),
        (r"\boxed{5\text{ cm}}", "5"),
        (r"\boxed{Evelyn}", r"\text{Evelyn}"),
        (r"\boxed{\begin{pmatrix}1\\2\end{pmatrix}}", r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}"),
    ]
    different = [
        (r"\boxed{0.33}", r"\frac13"),
        ("$1 + x^3$", "x^2+1"),
        (r"\boxed{(2,1)}", "(1,2)"),
        (r"\boxed{[0,1]}", "[0,1)"),
        (r"\boxed{\pm 5}", "5"),
        (r"\boxed{-5}", "5"),
        (r"\boxed{1234}", "1,235"),
        (r"\boxed{\frac{1}{}", r"\frac{1}{2}"),
        (r"\boxed{__import__('os').getpid()}", "1"),
        (r"\boxed{\input{x}}", "1"),
    ]
    found = [verdict.correct for verdict in verdicts(equal + different)]
    assert [pair for pair, correct in zip(equal, found, strict=False) if not correct] == []
    assert [pair for pair, correct in zip(different, found[len(equal) :], strict=True) if correct] == []


def test_an_answer_that_sympy_hangs_on_is_wrong_and_the_others_are_judged() -> None:
    pairs = [(r"\boxed{9^{9^{9^{9}}}}", "5"), (r"\boxed{10/2}", "5"), (r"\boxed{\sum_{k=1}^{10^9} k^{-3}}", "5")]
    verdicts(pairs[1:2])  # The workers load sympy.
    started = time.monotonic()
    found = verdicts(pairs, MathVerifier(type="math", seconds=1.0))
    assert found == [Verdict(False, "time limit"), Verdict(True), Verdict(False, "time limit")]
    assert time.monotonic() - started < 30
    assert verdicts(pairs[1:2]) == [Verdict(True)]  # Other workers have come.


def test_what_reads_alike_needs_no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def none(function: str, arguments: list[Any], seconds: float) -> list[Any]:
        asked.extend(arguments)
        return []

    monkeypatch.setattr(math, "run_isolated", none)
    assert verdicts([("so 42.", "42"), (r"\boxed{x^2}", "$x^2$"), ("", "42")]) == [
        Verdict(True),
        Verdict(True),
        Verdict(False),
    ]
    assert asked == []


def test_a_reference_is_its_last_box_or_all_of_it() -> None:
    solution = r"First $x = 2$. So the answer is $\boxed{\frac{1}{2}}$ for 3 men."
    assert verdicts([("0.5", solution), ("3", solution), ("x^2 + 1", "x^2+1"), ("1", "x^2+1")]) == [
        Verdict(correct) for correct in (True, False, True, False)
    ]
    with pytest.raises(ValueError, match=r"item 0{16}: the answer is empty"):
        verdicts([("5", " ")])


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(math, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"math-verify can't be found; `pip install 'math-verify\[antlr4_9_3\]'`"):
        verdicts([("5", "5")])


@pytest.mark.parametrize(
    ("response", "answer", "right"),
    [
        ("So the answer is 1/2.", "1/2", True),
        ("So the answer is 1/2.", "2", False),
        ("The probability is \\frac{1}{3}", "1/3", True),
        ("So we get \\frac{1}{2}.", "2", False),
        ("\\boxed{3=5}", "5", False),
        ("\\boxed{1=2=5}", "5", False),
        ("\\boxed{2+3=5}", "5", True),
        ("\\boxed{x=5}", "5", True),
        ("\\boxed{f(2)=5}", "5", True),
        ("\\boxed{x_1 = 5}", "5", True),
    ],
)
def test_what_a_user_found(response: str, answer: str, right: bool) -> None:
    (verdict,) = math.judge(MathVerifier(type="math"), [(response, Item("0" * 16, "?", answer, 1))])
    assert verdict.correct is right
