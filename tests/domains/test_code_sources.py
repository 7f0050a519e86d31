"""Code benchmarks' rows, in the forms in which they are published, as items."""

import base64
import json
import pickle
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from boxes import needs_box

from thicket.config.source import DatasetSource, LivecodebenchSource
from thicket.config.verifier import CodeVerifier
from thicket.domains.item import Item, RawItem
from thicket.domains.registry import judge_of, raw_items
from thicket.domains.sources import livecodebench


def packed(cases: list[dict[str, str]]) -> str:
    """Hidden tests as LiveCodeBench publishes them."""
    return base64.b64encode(zlib.compress(pickle.dumps(json.dumps(cases)))).decode()


def problem(kind: str, day: str = "2024-09-01", **values: Any) -> dict[str, Any]:
    tests = {
        "stdin": [{"input": "2\n", "output": "4\n", "testtype": "stdin"}],
        "functional": [{"input": "2", "output": "4", "testtype": "functional"}],
    }[kind]
    return {
        "question_title": "Double",
        "question_content": f"Double a number ({kind}, {day}).",
        "contest_date": f"{day}T00:00:00",
        "difficulty": "medium",
        "starter_code": "class Solution:\n    def double(self, x: int) -> int:\n" if kind == "functional" else "",
        "metadata": json.dumps({"func_name": "double"} if kind == "functional" else {}),
        "public_test_cases": json.dumps(tests),
        "private_test_cases": packed([{**tests[0], "input": "3", "output": "6"}]),
        **values,
    }


def read(tmp_path: Path, *problems: dict[str, Any], **values: Any) -> Iterator[RawItem]:
    path = tmp_path / "test.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in problems))
    return raw_items(LivecodebenchSource(type="livecodebench", data_files=[str(path)], **values), 0)


def test_a_whole_program(tmp_path: Path) -> None:
    (item,) = read(tmp_path, problem("stdin"), whole="{question} Print it.")
    cases = [{"input": "2\n", "output": "4\n"}, {"input": "3", "output": "6"}]
    assert item == RawItem("Double a number (stdin, 2024-09-01). Print it.", "", 2, {"stdin": cases})


@needs_box
def test_a_method(tmp_path: Path) -> None:
    (item,) = read(tmp_path, problem("functional", difficulty="hard"))
    assert (item.level, item.reference["function"], len(item.reference["functional"])) == (3, "double", 2)
    assert item.question.endswith("```python\nclass Solution:\n    def double(self, x: int) -> int:\n\n```")
    judge = judge_of(CodeVerifier(type="code"))
    asked = Item("0" * 16, item.question, "", item.level, item.reference)
    answers = [f"class Solution:\n    def double(self, x):\n        return {value}" for value in ("2 * x", "4")]
    assert [verdict.correct for verdict in judge([(answer, asked) for answer in answers])] == [True, False]


def test_hidden_tests_may_be_plain_json(tmp_path: Path) -> None:
    (item,) = read(tmp_path, problem("stdin", private_test_cases="[]"))
    assert len(item.reference["stdin"]) == 1


def test_the_window_of_days(tmp_path: Path) -> None:
    days = ["2024-07-31", "2024-08-01", "2024-12-31", "2025-01-01"]
    rows = [problem("stdin", day) for day in days]

    def kept(**values: str) -> list[str]:
        return sorted(item.question.split(", ")[1][:10] for item in read(tmp_path, *rows, **values))

    assert kept() == days
    assert kept(since="2024-08-01") == days[1:]
    assert kept(since="2024-08-01", until="2024-12-31") == days[1:3]


class Runs:
    """A pickle that runs code where it is read."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ("the pickle was run",))


@pytest.mark.parametrize(
    ("values", "wrong"),
    [
        (
            {"private_test_cases": base64.b64encode(zlib.compress(pickle.dumps(Runs()))).decode()},
            "a pickle of more than a text: it has the operation",
        ),
        ({"private_test_cases": base64.b64encode(zlib.compress(b"")).decode()}, "pickle exhausted"),
        (
            {"private_test_cases": base64.b64encode(zlib.compress(pickle.dumps(["[]"]))).decode()},
            "operation EMPTY_LIST",
        ),
        ({"private_test_cases": base64.b64encode(zlib.compress(b"x" * 999)[:-9]).decode()}, "they break off"),
        (
            {"private_test_cases": base64.b64encode(zlib.compress(bytes(1 << 16))).decode()},
            "inflate to more than 32768",
        ),
        ({"private_test_cases": "[" * 100_000}, "RecursionError"),
        ({"private_test_cases": "no base 64"}, "its tests can't be read"),
        ({"private_test_cases": base64.b64encode(b"x").decode()}, "its tests can't be read: "),
        ({"public_test_cases": '[{"input": "1"}]'}, "its tests can't be read: KeyError: 'testtype'"),
        (
            {"private_test_cases": packed([{"input": "", "output": "", "testtype": "functional"}])},
            "functional', 'stdin'",
        ),
        ({"difficulty": "odd"}, "difficulty 'odd'; allowed: easy, medium, hard"),
    ],
)
def test_a_row_of_another_form_is_named(
    tmp_path: Path, values: dict[str, str], wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(livecodebench, "MOST_BYTES", 1 << 15)
    with pytest.raises(ValueError, match=r"test\.jsonl: row 1: ") as caught:
        next(read(tmp_path, problem("stdin", **values)))
    assert wrong in str(caught.value)


def test_a_day_is_written_in_one_way() -> None:
    with pytest.raises(ValueError, match="since"):
        LivecodebenchSource(type="livecodebench", data_files="x", since="1 August 2024")


@pytest.mark.parametrize("field", ["whole", "starter"])
def test_a_problem_is_asked(field: str) -> None:
    with pytest.raises(ValueError, match=rf"`{field}` needs \{{question\}}, the place where the problem's text goes"):
        LivecodebenchSource.model_validate({"type": "livecodebench", "data_files": "x", field: "Solve {code}"})


CONF = Path(__file__).parents[2] / "conf" / "domain"
ROWS = {
    "mbpp": {
        "task_id": 1,
        "prompt": "Write a function to double a number.",
        "code": "def double(x):\n    return 2 * x",
        "test_imports": ["import math"],
        "test_list": ["assert math.isclose(double(2), 4)", "assert double(0) == 0"],
    },
    "humaneval": {
        "task_id": "HumanEval/1",
        "prompt": 'def double(x: int) -> int:\n    """Twice the number."""\n',
        "canonical_solution": "    return 2 * x\n",
        "test": "def check(candidate):\n    assert candidate(2) == 4\n",
        "entry_point": "double",
    },
}


@needs_box
@pytest.mark.parametrize("name", ROWS)
def test_the_shipped_domain_on_a_row_of_its_form(name: str, tmp_path: Path) -> None:
    """As the domain's config reads it, but from a local file: the worked solution passes, and nothing else does."""
    path = tmp_path / "rows.json"
    path.write_text(json.dumps([ROWS[name]]))
    values = yaml.safe_load((CONF / f"{name}.yaml").read_text())
    hub = dict.fromkeys(("path", "revision", "subset", "split"))
    source = DatasetSource(**{**values["source"], **hub, "data_files": str(path)})
    (raw,) = raw_items(source, 0)
    assert "double" in raw.question
    item = Item("0" * 16, raw.question, "", 1, raw.reference)
    judge = judge_of(CodeVerifier(**values["verifier"]))
    answers = [raw.demonstration, "```python\ndef double(x):\n    return 5\n```", ""]
    assert [verdict.correct for verdict in judge([(answer, item) for answer in answers])] == [True, False, False]
