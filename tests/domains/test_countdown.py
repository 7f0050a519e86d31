"""Countdown: the arithmetic, the verifier, and a source whose items can all be solved."""

from fractions import Fraction
from itertools import islice
from typing import Any

import pytest
from pydantic import ValidationError

from thicket.config.source import CountdownSource
from thicket.config.verifier import CountdownVerifier
from thicket.domains.arithmetic import MAX_DEPTH, Malformed, tokens, value
from thicket.domains.item import Item
from thicket.domains.registry import raw_items
from thicket.domains.verifiers.countdown import verify

EACH, SOME = CountdownVerifier(type="countdown"), CountdownVerifier(type="countdown", all_numbers=False)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("7", 7),
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("10 - 3 - 2", 5),
        ("16 / 4 / 2", 2),
        ("1/3 + 1/6", Fraction(1, 2)),
        ("-3 + 10", 7),
        ("2 * -3", -6),
        ("--3", 3),
        ("((((5))))", 5),
        ("007", 7),
    ],
)
def test_values_by_hand(text: str, result: Fraction) -> None:
    assert value(tokens(text)) == result


@pytest.mark.parametrize(
    "text",
    [
        "",
        "+",
        "1 +",
        "* 2",
        "(1",
        "1)",
        "()",
        "1 2",
        "2(3)",
        "2 ** 3",
        "7 // 2",
        "1 / 0",
        "1 / (2 - 2)",
        "1.5",
        "x",
        "1e3",
        "²",
    ],
)
def test_what_is_no_expression(text: str) -> None:
    with pytest.raises(Malformed):
        value(tokens(text))


def test_nothing_goes_deeper_than_the_stack() -> None:
    assert value(tokens("(" * MAX_DEPTH + "5" + ")" * MAX_DEPTH)) == 5
    for text in ("(" * 100_000 + "5" + ")" * 100_000, "-" * 100_000 + "5"):
        with pytest.raises(Malformed, match="deeper than"):
            value(tokens(text))


def judged(response: str, config: CountdownVerifier = EACH, numbers: Any = (3, 7, 25), target: Any = 46) -> bool:
    return verify(config, response, Item("0" * 16, "?", "", 1, {"numbers": list(numbers), "target": target}))


@pytest.mark.parametrize(
    "response",
    [
        "25 + 3 * 7",
        "25 + 3 × 7 = 46",
        "46 = 25+3*7",
        "Let me think. 25 - 3 = 22.\n\nSo: (3 * 7) + 25",
        "<answer> 25 + (7 * 3) </answer> and that is all 5",
        "I think **25 + 7 * 3**",
        r"\boxed{25 + 3 \times 7}",
        r"$25 + 3 \cdot 7 = 46$.",
        "25 − −3 * 7",
    ],
)
def test_solutions(response: str) -> None:
    assert judged(response)


@pytest.mark.parametrize(
    "response",
    [
        "46",
        "25 + 21",
        "25 + 3 + 7",  # 35
        "25 + 3 * 7 + 0",  # a number of its own
        "25 + 3 * 7 + 3 - 3",  # 3 three times
        "25 + 3 * 7 = 47",
        "47 = 25 + 3 * 7",
        "3 * 7 = 21, 25 + 21 = 46",
        "3 * 7 = 21 = 46",
        "25 + 3 * 7 = 46 = 46",
        "25 + 37",
        "2 5 + 3 * 7",
        "25 + 3 ** 7",
        "eval('46')",
        "25 + 3 * 7\nThat's it.",
        "<answer>none</answer>",
    ],
)
def test_no_solutions(response: str) -> None:
    assert not judged(response)


def tagged(content: str, numbers: tuple[int, ...], target: int) -> bool:
    return judged(f"I think so.\n<answer>{content}</answer>", numbers=numbers, target=target)


@pytest.mark.parametrize(
    "written",
    [
        r"\(3+4\)",
        "$3+4$",
        "$3+4$ = 7",
        r"\[3+4\]",
        r"\boxed{3 + 4} = 7",
        r"\left(3+4\right)",
        "[3+4]",
        "3+4 = 7",
        "3+4\n= 7",
        "3+4 (this equals 7)",
        "3 + 4 (using both)",
        "3+4, which is 7.",
        r"3+4 \text{ equals } 7",
        "x = 3+4",
        "```\n3+4\n```",
        "```python\n3+4\n```",
        "`3+4`",
        "3+4\n\n3 + 4 = 7",
        "３＋４",
    ],
)
def test_what_may_stand_around_an_expression(written: str) -> None:
    assert tagged(written, (3, 4), 7)
    assert not tagged(written, (3, 4), 8)
    assert not tagged(written, (3, 4, 7), 7)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        *((sign, 16) for sign in ("8x2", "8 X 2", "8×2", "8 ∗ 2", "8·2", r"8\times 2", r"8\cdot2", "(8)x(2)")),
        *((sign, 4) for sign in ("8÷2", r"8 \div 2", r"\frac{8}{2}", r"\dfrac82", "8∕2", "8⁄2", r"\frac{8}{2} = 4")),
        *((sign, 6) for sign in ("8–2", "8−2", "8－2")),
    ],
)
def test_how_operators_are_written(written: str, value: int) -> None:
    assert tagged(written, (2, 8), value)
    assert not tagged(written, (2, 8), value + 1)


def test_fractions_inside_fractions() -> None:
    assert tagged(r"\frac{\frac{8}{2} + 1}{5}", (1, 2, 5, 8), 1)
    assert not tagged(r"\frac{8}{\sqrt{2}}", (2, 8), 4)


@pytest.mark.parametrize(
    "written",
    [
        "3+4 or 4+3",
        "3+4, 3*4",
        "3-4\n3+4",
        "3+4 and 3+4=8",
        "3+4 = 8",
        "(3+4) and then *2",
        "3.5+4",
        "1,003+4",
        "3^1+4",
        "3²+4",
        "sqrt(3)+4",
        r"\sqrt{3}+4",
        "f(3+4)",
        "print(3+4)",
        "3+4!",
        "3+4%",
        "x3+4",
        "3+4y",
        "3+4+",
        "3 and 4",
        "7",
        "",
    ],
)
def test_what_counts_for_nothing(written: str) -> None:
    assert not tagged(written, (3, 4), 7)


def test_every_number_or_some_of_them() -> None:
    assert not judged("25 + 21", SOME)
    assert judged("25 - 3", SOME, target=22)
    assert not judged("25 - 3", EACH, target=22)
    assert not judged("3 + 3", SOME, target=6)
    assert judged("3 + 3", EACH, numbers=(3, 3), target=6)
    assert judged("(1 - 1/5) * 5 + 5 * 4", EACH, numbers=(1, 1, 5, 5, 5, 4), target=24)  # by way of a fraction
    assert judged("0 + 5", EACH, numbers=(0, 5), target=5)


@pytest.mark.parametrize(
    "reference", [{}, {"numbers": [1]}, {"numbers": ["1"], "target": 1}, {"numbers": [1], "target": "1"}]
)
def test_an_item_without_its_task_is_an_error(reference: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"item 0{16}: the verifier `countdown` needs `numbers` and `target`"):
        verify(EACH, "1", Item("0" * 16, "?", "", 1, reference))


def test_every_item_can_be_solved_with_each_of_its_numbers() -> None:
    source = CountdownSource(type="countdown", levels=[2, 3, 4, 6], largest=50, target=[10, 60])
    made = list(islice(raw_items(source, 0), 2000))
    for raw in made:
        numbers, target = raw.reference["numbers"], raw.reference["target"]
        assert judged(raw.answer, numbers=numbers, target=target)
        assert raw.level == len(numbers)
        assert numbers == sorted(numbers)
        assert 1 <= numbers[0] <= numbers[-1] <= 50
        assert 10 <= target <= 60
        assert target not in numbers
        assert raw.question == f"Numbers: {', '.join(map(str, numbers))}. Target: {target}."
    for sign in "+-*/":
        assert sum(sign in raw.answer for raw in made) / len(made) > 0.05
    shares = [sum(raw.level == level for raw in made) / len(made) for level in (2, 3, 4, 6)]
    assert 0.2 < min(shares) < max(shares) < 0.3
    assert made == list(islice(raw_items(source, 0), 2000))
    assert made[:50] != list(islice(raw_items(source, 1), 50))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"target": [50, 10]}, "50 is above 10"),
        ({"target": [10, 100], "largest": 20}, r"allowed: up to 2·`largest` \(40\)"),
        ({"levels": [1]}, "greater than or equal to 2"),
    ],
)
def test_a_source_that_could_not_go_on(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        CountdownSource.model_validate({"type": "countdown", **values})
