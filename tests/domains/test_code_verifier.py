"""Programs in responses, and the benchmarks' forms of unit tests."""

import ast
import json
import os
import warnings
from pathlib import Path
from typing import Any

import pytest
from boxes import needs_box

from thicket.config.source import DatasetSource
from thicket.config.verifier import CodeVerifier
from thicket.domains.item import Item, RawItem
from thicket.domains.programs import program_in, same_output
from thicket.domains.registry import judge_of, raw_items
from thicket.domains.verdict import Verdict

RIGHT, WRONG = Verdict(True), Verdict(False, "wrong answer")
CODE = CodeVerifier(type="code")
needs_data = pytest.mark.skipif("THICKET_DATA" not in os.environ, reason="THICKET_DATA names no folder of real data")


def item(**reference: Any) -> Item:
    return Item("0" * 16, "?", "", 1, reference)


def judged(response: str, given: Item, **values: Any) -> Verdict:
    (found,) = judge_of(CodeVerifier(type="code", **values))([(response, given)])
    return found


# -- the program in a response -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("response", "program"),
    [
        ("x = 1", "x = 1"),
        ("", ""),
        ("First:\n```python\nx = 1\n```\nBetter:\n```python\nx = 2\n```\nDone.", "x = 2\n"),
        ("```python\nx = 1\n```\nIt prints:\n```\n1\n```", "x = 1\n"),
        ("```bash\nls\n```\n```\nx = 1\n```", "x = 1\n"),
        ("```bash\nls\n```", "```bash\nls\n```"),
        ("```Python3 title\nx = 1\n```", "x = 1\n"),
        ("Cut off:\n```py\nx = 1\nwhile", "x = 1\nwhile"),
        ("```python\ntext = '''```'''\nx = 1\n```", "text = '''```'''\nx = 1\n"),
        ("  ```python\n  x = 1\n  ```", "x = 1\n"),
        ("```python\n```", ""),
        ("one `x` two ``` three", "one `x` two ``` three"),
    ],
)
def test_the_program_is_the_last_block_of_python(response: str, program: str) -> None:
    assert program_in(response) == program


# -- forms of tests ----------------------------------------------------------------------------------------------------

MBPP = item(tests=["assert math.isclose(half(3), 1.5)", "assert half(2) == 1"], setup=["import math"])
HUMANEVAL = item(
    prompt='from typing import List\n\n\ndef total(values: List[int]) -> int:\n    """The sum."""\n',
    check="def check(candidate):\n    assert candidate([1, 2]) == 3\n    assert candidate([]) == 0\n",
    entry_point="total",
)
STDIN = item(stdin=[{"input": "1 2\n", "output": "3\n"}, {"input": "5 5\n", "output": "10\n"}])
FUNCTIONAL = item(
    functional=[{"input": "[1, 2]\n3", "output": "[3, 6]"}, {"input": "[]\n1", "output": "[]"}], function="scale"
)


@needs_box
def test_mbpp() -> None:
    assert judged("```python\ndef half(x):\n    return x / 2\n```", MBPP) == RIGHT
    assert judged("def half(x):\n    return x // 2", MBPP) == WRONG
    assert judged("def other(x):\n    return x / 2", MBPP) == Verdict(False, "exception: NameError")
    assert judged("def sum(a, b):\n    return 6", item(tests="assert sum(10, 15) == 6")) == RIGHT
    assert judged("sorted = lambda x: [1]\nf = id", item(tests=["assert sorted(f(3)) == [1]"])).correct is False


@needs_box
def test_humaneval_takes_the_whole_function_or_the_rest_of_it() -> None:
    assert judged("```python\ndef total(values: List[int]) -> int:\n    return sum(values)\n```", HUMANEVAL) == RIGHT
    assert judged("    return sum(values)\n", HUMANEVAL) == RIGHT
    assert judged("    return len(values)\n", HUMANEVAL) == WRONG
    assert judged("", HUMANEVAL) == Verdict(False, "no program")


@needs_box
def test_whole_programs() -> None:
    assert judged("```python\nprint(sum(map(int, input().split())))\n```", STDIN) == RIGHT
    assert judged("print(3)", STDIN) == WRONG
    assert judged("print(input() if n else 3)", STDIN) == Verdict(False, "exception: NameError")
    assert judged("import sys\nprint(eval(input().replace(' ', '+')))\nsys.exit(0)", STDIN) == RIGHT
    third = item(stdin=[{"input": "", "output": "0.333333"}])
    assert judged("print(1 / 3)", third) == WRONG
    assert judged("print(1 / 3)", third, tolerance=1e-6) == RIGHT


@needs_box
def test_methods() -> None:
    method = (
        "class Solution:\n    def scale(self, values: List[int], by):\n        return tuple(by * v for v in values)"
    )
    assert judged(method, FUNCTIONAL, prelude="from typing import *") == RIGHT
    assert judged(method, FUNCTIONAL) == Verdict(False, "exception: NameError")
    assert judged("def scale(values, by):\n    return [v * by for v in values]", FUNCTIONAL) == RIGHT
    assert judged("def scale(values, by):\n    return values", FUNCTIONAL) == WRONG


@needs_box
@pytest.mark.parametrize(
    "response",
    [
        "\x00",
        "def half(x):\n    return float('nan')",
        "def half(x):\n    return １",
        "```python\n" * 1000,
        "x" * 200_000,
        "\ud800",
        "(" * 5000,
    ],
    ids=["zero byte", "nan", "unicode digits", "fences", "long", "lone surrogate", "brackets"],
)
def test_no_response_raises(response: str) -> None:
    assert judged(response, MBPP).correct is False


@needs_box
def test_verdicts_stand_in_the_order_of_the_responses() -> None:
    halves = [f"def half(x):\n    return x / 2 if {number} % 3 else 0" for number in range(9)]
    verdicts = judge_of(CODE)([(response, MBPP) for response in halves])
    assert verdicts == [WRONG, RIGHT, RIGHT] * 3
    assert judge_of(CODE)([]) == []


@needs_box
@pytest.mark.parametrize(
    ("reference", "wrong"),
    [
        ({}, "has the tests none; the verifier `code` needs just one of: tests, check, functional, stdin"),
        ({"tests": ["assert x"], "stdin": [{}]}, "has the tests tests, stdin"),
        ({"stdin": [{"input": "1"}]}, "its `stdin` can't be read: KeyError: 'output'"),
        ({"check": "def check(f): pass"}, "its `check` can't be read: KeyError: 'entry_point'"),
        ({"functional": [{"input": "[", "output": "1"}], "function": "f"}, "its `functional` can't be read: JSON"),
    ],
)
def test_an_item_without_tests_is_an_error(reference: dict[str, Any], wrong: str) -> None:
    with pytest.raises(ValueError, match=r"item 0000000000000000: it") as caught:
        judged("x = 1", item(**reference))
    assert wrong in str(caught.value)


@pytest.mark.parametrize(
    ("output", "expected", "tolerance", "same"),
    [
        ("1\n2\n", "1\n2", 0.0, True),
        (" 1 \n\t2\n\n", "1\n2", 0.0, True),
        ("1\r\n2", "1\n2", 0.0, True),
        ("1\n\n2", "1\n2", 0.0, False),
        ("1 2", "1  2", 0.0, False),
        ("1.0", "1", 0.0, False),
        ("1.0", "1", 0.1, True),
        ("a 1.05", "a 1", 0.1, True),
        ("a 1.25", "a 1", 0.1, False),
        ("b 1", "a 1", 0.1, False),
        ("1", "1 1", 0.1, False),
        ("1\n1", "1", 0.1, False),
        ("nan", "1", 0.1, False),
        ("nan", "nan", 0.1, True),
        ("", "", 0.0, True),
    ],
)
def test_outputs_are_compared_line_by_line(output: str, expected: str, tolerance: float, same: bool) -> None:
    assert same_output(output, expected, tolerance) is same


# -- reference solutions -----------------------------------------------------------------------------------------------


class Wrap(ast.NodeTransformer):
    """Puts whatever a function returns into a pair: no test of a value passes any more."""

    def visit_Return(self, node: ast.Return) -> ast.Return:
        value = node.value or ast.Constant(None)
        return ast.Return(ast.Tuple([value, ast.Constant("mutated")], ast.Load()))


def mutated(program: str) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Some of MBPP's programs have escapes that Python warns of.
        return ast.unparse(ast.fix_missing_locations(Wrap().visit(ast.parse(program))))


def check_reference_solutions(data_files: Path) -> None:
    """All reference solutions of a file in MBPP's sanitized form pass, and all mutated ones fail."""
    source = DatasetSource(
        type="dataset",
        data_files=str(data_files),
        question="{prompt}\n{test_list.0}",
        demonstration="{code}",
        reference={"tests": "test_list", "setup": "test_imports"},
    )
    items: list[RawItem] = list(raw_items(source, 0))
    asked = [Item("0" * 16, raw.question, "", 1, raw.reference) for raw in items]
    programs = [raw.demonstration for raw in items]
    judge = judge_of(CODE)
    passed = [verdict.correct for verdict in judge(list(zip(programs, asked, strict=True)))]
    assert passed == [True] * len(items)
    failed = [verdict.correct for verdict in judge(list(zip(map(mutated, programs), asked, strict=True)))]
    assert failed == [False] * len(items)


ROWS = [
    {
        "prompt": "Write a function to find the larger half of a number.",
        "code": "def larger_half(n):\n  return n - n // 2",
        "test_imports": [],
        "test_list": ["assert larger_half(7) == 4", "assert larger_half(0) == 0"],
    },
    {
        "prompt": "Write a function to find the distance of two points.",
        "code": "import math\nclass Point:\n  def __init__(self, x, y):\n    self.x, self.y = x, y\n"
        "def distance(a, b):\n  return math.hypot(a.x - b.x, a.y - b.y)",
        "test_imports": ["import math"],
        "test_list": ["assert math.isclose(distance(Point(0, 0), Point(1, 1)), math.sqrt(2))"],
    },
    {
        "prompt": "Write a function to collect the distinct characters.",
        "code": "def distinct(text):\r\n    return {c for c in text}",
        "test_imports": [],
        "test_list": ["assert distinct('abca') == set('abc')", "assert len(distinct('')) == 0"],
    },
]


@needs_box
def test_reference_solutions_pass_and_mutated_ones_fail(tmp_path: Path) -> None:
    path = tmp_path / "sanitized-mbpp.json"
    path.write_text(json.dumps(ROWS))
    check_reference_solutions(path)


@needs_box
@needs_data
@pytest.mark.slow
def test_all_of_mbpp() -> None:
    """Of the data set itself, where THICKET_DATA names a folder that holds it."""
    check_reference_solutions(Path(os.environ["THICKET_DATA"], "mbpp", "sanitized-mbpp.json"))


@pytest.mark.parametrize(
    ("response", "program"),
    [
        ("```python\ndef f(x):\n    return x\n```\nExample:\n```python\nprint(f(1))\n```", "def f(x):\n    return x\n"),
        ("1. So:\n   ```python\n   def f(x):\n       return x\n   ```", "def f(x):\n    return x\n"),
        ("```python\nn = int(input())\nprint(n)\n```\n```python\nprint(1)\n```", "n = int(input())\nprint(n)\n"),
        ("```python\nprint(1)\n```\n```python\nprint(2)\n```", "print(2)\n"),
        ("", ""),
        ("def f(x):\n    return x", "def f(x):\n    return x"),
    ],
)
def test_the_program_of_a_response(response: str, program: str) -> None:
    assert program_in(response) == program


def test_no_program_has_a_name() -> None:
    item = Item("0" * 16, "?", "", 1, {"tests": ["assert f(1) == 1"]})
    assert judge_of(CodeVerifier(type="code", isolation="rlimits"))([(" \n", item)]) == [Verdict(False, "no program")]
