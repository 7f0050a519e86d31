"""The verifier `math`: where an answer stands, what equals it, and answers that sympy can't get over."""

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from thicket.config.verifier import MathVerifier, NumberVerifier
from thicket.domains import mathematics
from thicket.domains.item import Item
from thicket.domains.mathematics import answer_in, boxed
from thicket.domains.registry import judge_of
from thicket.domains.verdict import Verdict
from thicket.domains.verifiers import math
from thicket.domains.wording import same_text, textual
from thicket.domains.written import parseable, plain_form, terms, values

needs_data = pytest.mark.skipif("THICKET_DATA" not in os.environ, reason="THICKET_DATA names no folder of real data")
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
        ("it is 50%.", "50%"),
        (r"it is 12.5 \%, or so", r"12.5 \%"),
        ("the ratio is 3:4.", "3:4"),
        ("at 10:08 he went", "10:08"),
        (r"it is 1{,}000, so", "1{,}000"),
        (r"that is 0.\overline{3}, so", r"0.\overline{3}"),
        ("it is 12_8, or 12_{10}", "12_{10}"),
        ("about 5e3 of them", "5e3"),
        ("it is 5²", None),
        (r"\{1, 2\}", r"\{1, 2\}"),
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


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("$5", "5"),
        (r"\$5.", "5"),
        (" 3. ", "3"),
        ("$x$", "x"),
        (r"50\%", "50%"),
        (r"50 \%", "50%"),
        (r"50\text{ percent}", "50%"),
        ("50 percent", "50%"),
        (r"\approx 18", "18"),
        (r"\approx18", "18"),
        (r"\text{Answer: }18", "18"),
        ("The final answer is 18", "18"),
        (r"\text{Answer: yes}", r"\text{yes}"),
        (r"\text{answer}", r"\text{answer}"),
        (r"1\,000\,000.5", "1000000.5"),
        (r"1{,}000", "1000"),
        (r"1,\!000", "1000"),
        (r"(100,\,200)", r"(100,\,200)"),
        (r"1\,00", r"1\,00"),
        ("", ""),
    ],
)
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


PERCENTAGES = {
    r"50\%": ([r"50\%", "50%", "50", "0.5", "1/2", r"\frac{1}{2}", r"x = 50\%"], ["5", r"0.5\%", r"5000\%", "0.05"]),
    "50": (["50%", r"50\%", "50"], ["0.5", "1/2", "5%"]),
    "0.5": ([r"50\%", "0.5"], ["50", "5%"]),
    r"\frac{1}{2}": ([r"50\%", "0.5"], ["50"]),
    r"33\frac{1}{3}\%": ([r"33\frac13\%", r"\frac{1}{3}"], ["33"]),
}
KINDS = {
    "3:4": (["3:4", "3 : 4", "6:8"], ["3/4", r"\frac34", "4:3", "3:4:5", "0.75"]),
    "3:0.5": (["6:1"], ["6:2"]),
    "|x|:3": (["2|x|:6"], ["|x|:4"]),
    "2:3:4": (["4:6:8"], ["2:3:5", "2:3"]),
    r"1:\sqrt{2}": ([r"\sqrt{2}:2"], [r"\sqrt{2}:1"]),
    r"\frac{3}{4}": (["0.75"], ["3:4"]),
    "10:08": (["10:08"], ["5:4", r"\frac54", "10/8", "10:8"]),
    r"10:30\text{ a.m.}": (["10:30 AM", r"10:30 \text{am}"], ["10:30 p.m.", "1:3"]),
    "4:20": (["4:20"], ["3:15"]),
    "12_8": (["12_8", "12_{8}", "(12)_8"], ["12", "12_{10}", "12_9", "10"]),
    "1A_{16}": (["1a_{16}"], ["1A", "26"]),
    r"\text{cat}": (["cat", "Cat", r"\textbf{cat}", r"\mathrm{cat}"], ["act", "tac", r"\text{act}", "5"]),
    "cat": ([r"\text{cat}"], ["act", "tca"]),
    r"\text{no solution}": (["No solution", r"\text{No Solution}"], ["no", "0"]),
    r"\text{(A)}": (["A", r"\text{A}"], ["B"]),
    "xy": (["yx", r"x\cdot y"], ["xz", "x+y"]),
    "(1,2)": (["(1, 2)", "1,2"], [r"\{1,2\}", "(2,1)"]),
    "(1,2,3)": (["(1,2,3)"], [r"\{1,2,3\}"]),
    r"\{1,2\}": ([r"\{2,1\}", r"\left\{1,2\right\}", "1,2"], ["(1,2)", "[1,2]"]),
    r"\{1,2,3\}": ([r"\{3,2,1\}"], ["(1,2,3)"]),
    r"\{(1,2),(3,4)\}": (["(1,2),(3,4)"], []),
    r"(-\infty,2)": ([r"(-\infty, 2)"], [r"\{-\infty,2\}"]),
}
NOTATION = {
    r"\frac13": ([r"0.\overline{3}", r"0.\overline{33}"], ["0.3", r"0.\overline{4}", r"0.0\overline{3}"]),
    r"0.1\overline{6}": ([r"\frac16"], [r"\frac{16}{99}"]),
    "-1": ([r"-0.\overline{9}"], [r"0.\overline{9}"]),
    "18": ([r"\approx 18", r"\text{Answer: }18", r"\text{Answer: 18}"], [r"\approx 19", r"\text{Answer: }19"]),
    "1000": ([r"1\,000", "1{,}000", "1,000", r"1,\!000"], [r"1\,001", "1"]),
    "5000": (["5e3", "5E+3"], ["5", "500"]),
}


@pytest.mark.parametrize("cases", [PERCENTAGES, KINDS, NOTATION], ids=["percentages", "kinds", "notation"])
def test_how_an_answer_is_written(cases: dict[str, tuple[list[str], list[str]]]) -> None:
    right = [(rf"\boxed{{{answer}}}", reference) for reference, (answers, _) in cases.items() for answer in answers]
    wrong = [(rf"\boxed{{{answer}}}", reference) for reference, (_, answers) in cases.items() for answer in answers]
    found = verdicts(right + wrong)
    assert [pair for pair, verdict in zip(right, found, strict=False) if not verdict.correct] == []
    assert [pair for pair, verdict in zip(wrong, found[len(right) :], strict=True) if verdict != Verdict(False)] == []
    assert all(verdict.correct for verdict in verdicts([(rf"\boxed{{{answer}}}", answer) for answer in cases]))


@needs_data
@pytest.mark.parametrize("config", [CONFIG, NumberVerifier(type="number")], ids=["math", "number"])
def test_every_solution_of_gsm8k_is_right(config: MathVerifier | NumberVerifier) -> None:
    lines = Path(os.environ["THICKET_DATA"], "gsm8k", "train.jsonl").read_text(encoding="utf-8").splitlines()
    solved = [(answer, answer.partition("#### ")[2]) for answer in (json.loads(line)["answer"] for line in lines)]
    assert len(solved) == 7473
    judge = judge_of(config)
    for write in (lambda solution, answer: solution, lambda solution, answer: rf"So \boxed{{{answer}}}."):
        asked = [(write(*pair), Item("0" * 16, "?", pair[1], 1)) for pair in solved]
        assert all(verdict.correct for verdict in judge(asked))


@pytest.mark.parametrize(
    "text",
    [
        "9" * 1000,
        "1" * 499 + ":" + "1" * 500,
        "A" * 1000,
        "a," * 500,
        "\\text{" * 166,
        "(" * 1000,
        "1e" * 500,
        "." * 1000,
    ],
)
def test_the_longest_answers_are_read_fast(text: str) -> None:
    started = time.process_time()
    for read in (plain_form, values, terms, parseable):
        read(text)
    assert textual(text, text) in (True, False)
    assert same_text(text, plain_form(text))
    assert time.process_time() - started < 0.5
