"""Rows out of local files and out of the hub, and messages about what is wrong with them."""

import json
import re
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from thicket.config.source import DatasetSource, IfevalSource
from thicket.domains.files import Row, first_row, read_rows
from thicket.domains.item import RawItem
from thicket.domains.registry import raw_items

ROWS = [{"q": "a, b\nc", "n": 1}, {"q": 'the "d"', "n": 2}]
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def write(path: Path) -> None:
    """The rows, as a file of the type that the name says."""
    if path.suffix == ".parquet":
        pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        parquet.write_table(pyarrow.Table.from_pylist(ROWS), path)
        return
    texts = {
        ".json": json.dumps(ROWS),
        ".jsonl": "\n\n".join(map(json.dumps, ROWS)),
        ".csv": '\ufeffq,n\n"a, b\nc",1\n"the ""d""",2\n',
    }
    path.write_text(texts[path.suffix], encoding="utf-8")


def values(rows: list[Row]) -> list[tuple[str, int]]:
    return [(row["q"], int(row["n"])) for row in rows]


@pytest.mark.parametrize("suffix", ["json", "jsonl", "csv", "parquet"])
def test_the_first_row_alone(suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / f"rows.{suffix}"
    write(path)
    assert first_row(path) == {**ROWS[0], "n": "1" if suffix == "csv" else 1}
    monkeypatch.setattr("thicket.domains.files.LARGE", 8)
    assert (first_row(path) is None) == (suffix == "json"), "it would have to be read as a whole"
    path.write_bytes(b"\x00broken")
    assert first_row(path) is None
    assert first_row(tmp_path / "rows.txt") is None


@pytest.mark.parametrize("suffix", ["json", "jsonl", "csv", "parquet"])
def test_every_type_of_file(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"rows.{suffix}"
    write(path)
    assert values(read_rows(str(path))) == [("a, b\nc", 1), ('the "d"', 2)]
    assert [row.place for row in read_rows(str(path))] == [f"{path}: row 1", f"{path}: row 2"]


def test_files_are_read_anew_and_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(Path("one.csv"))
    write(Path("two.json"))
    assert values(read_rows(["two.json", "one.csv"])) == values(read_rows("two.json")) * 2
    Path("two.json").write_text('[{"q": "new", "n": 3}]')
    assert values(read_rows("two.json")) == [("new", 3)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.csv", "two.json"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", '{"q": 1}\n{"q": ', r"a\.jsonl: can't be read after 1 rows: Expecting value"),
        ("a.jsonl", '{"q": 1}\n[1, 2]\n', r"a\.jsonl: row 2: not a mapping of columns to values, but \[1, 2\]"),
        ("a.json", '{"q": 1}', r"a\.json: can't be read after 0 rows: not a list of rows"),
        ("a.csv", "q,n\n1,2\n1,2,3\n", r"a\.csv: can't be read after 1 rows: the next row has more fields"),
        ("a.csv", b"q,n\n\xff,2\n", r"a\.csv: can't be read after 0 rows: 'utf-8' codec can't decode"),
        ("a.parquet", "q,n\n", r"a\.parquet: can't be read after 0 rows: .*[Pp]arquet"),
        ("a.txt", "q", r"a\.txt: unknown type of file; allowed: \.json, \.jsonl, \.csv, \.parquet"),
    ],
)
def test_files_that_are_not_what_they_should_be(name: str, content: str | bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=message):
        read_rows(str(tmp_path / name))


# -- the source `dataset` ----------------------------------------------------------------------------------------------


def items(path: Path, rows: list[dict[str, Any]], **more: Any) -> list[RawItem]:
    path.write_text(json.dumps(rows))
    source = {"type": "dataset", "data_files": str(path), "question": "{q}", "answer": "{n}"}
    return list(raw_items(DatasetSource.model_validate({**source, **more}), 0))


def test_numbers_are_written_as_people_do(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"q": 12.0, "n": value} for value in (145.0, 0.5, -3, "a")]
    made = items(tmp_path / "a.json", rows)
    assert {item.question for item in made} == {"12"}
    assert sorted(item.answer for item in made) == ["-3", "0.5", "145", "a"]


def test_the_seed_draws_the_order(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps([{"q": f"{n}", "n": n} for n in range(50)]))
    source = DatasetSource(type="dataset", data_files=str(path), question="{q}", answer="{n}")
    orders = [[item.answer for item in raw_items(source, seed)] for seed in (0, 0, 1)]
    assert orders[0] == orders[1]
    assert orders[0] != orders[2]
    assert set(orders[0]) == set(orders[2]) == {str(n) for n in range(50)}


def test_a_column_that_all_rows_lack_is_the_first_ones(tmp_path: Path) -> None:
    """Whatever row the seed draws first, and whether a split needs it."""
    with pytest.raises(ValueError, match=r"a\.json: row 1: the column 'n' is missing; columns: q"):
        items(tmp_path / "a.json", [{"q": number} for number in range(50)])


@pytest.mark.parametrize(
    ("row", "more", "message"),
    [
        ({"q": "x"}, {}, "row 1: the column 'n' is missing; columns: q"),
        ({"q": "x", "n": None}, {}, "row 1: the column 'n' is empty; columns: q, n"),
        ({"q": ["x"], "n": 1}, {}, "row 1: the column 'q' can't stand in a template: it holds ['x']; allowed: text or"),
        ({"q": "x", "n": "  "}, {}, "row 1: the answer is empty"),
        ({"q": "x", "n": "so 4"}, {"answer_pattern": "is (.*)"}, "row 1: the answer 'so 4' doesn't match"),
        ({"q": "x", "n": "so"}, {"answer_pattern": "so( [0-9])?"}, "row 1: the answer 'so' doesn't match"),
        ({"q": "x", "n": 1, "l": "easy"}, {"level": "l"}, "row 1: the level in column 'l' is 'easy'; allowed: one"),
        ({"q": "x", "n": 1, "l": 1.5}, {"level": "l"}, "row 1: the level in column 'l' is '1.5'; allowed: one whole"),
        ({"q": "x", "n": 1, "l": "4 to 5"}, {"level": "l"}, "row 1: the level in column 'l' is '4 to 5'; allowed: one"),
    ],
)
def test_rows_that_lack_something(row: dict[str, Any], more: dict[str, str], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        items(tmp_path / "a.json", [row], **more)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "not both and not neither"),
        ({"path": "a/b", "data_files": "c.json"}, "not both and not neither"),
        ({"path": "a/b", "split": "train"}, "a hub id needs `revision`"),
        ({"path": "a/b", "revision": COMMIT}, "and `split`"),
        ({"path": "a/b", "revision": "main", "split": "train"}, "should match pattern"),
        ({"data_files": "c.json", "subset": "main"}, "local files have none"),
        ({"data_files": "c.json", "answer_pattern": "(a"}, "no regular expression"),
        ({"data_files": "c.json", "answer_pattern": "a"}, "needs a group"),
    ],
)
def test_sources_that_make_no_sense(values: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        DatasetSource.model_validate({"type": "dataset", "question": "{q}", "answer": "{n}", **values})


class Hub(types.ModuleType):
    """Stands in for the package `datasets`; remembers what was asked for."""

    def __init__(self, answer: list[dict[str, Any]] | Exception):
        super().__init__("datasets")
        self.answer, self.asked = answer, []

    def load_dataset(self, *arguments: Any, **named: Any) -> list[dict[str, Any]]:
        self.asked.append((arguments, named))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def hub_items(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> list[RawItem]:
    monkeypatch.setitem(sys.modules, "datasets", hub)
    values = {"path": "openai/gsm8k", "subset": "main", "split": "train", "revision": COMMIT}
    source = DatasetSource.model_validate({"type": "dataset", "question": "{q}", "answer": "{n}", **values})
    return list(raw_items(source, 0))


def test_the_hub_is_asked_for_one_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Hub(ROWS)
    assert {item.answer for item in hub_items(hub, monkeypatch)} == {"1", "2"}
    assert hub.asked == [(("openai/gsm8k", "main"), {"split": "train", "revision": COMMIT})]


@pytest.mark.parametrize(
    "error", [ConnectionError("no network"), ValueError("unknown split 'trian'"), KeyError("splits")]
)
def test_the_hub_says_no(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    message = f"domain.source.path = openai/gsm8k@{COMMIT}: the data set can't be loaded: "
    message += "KeyError: 'splits'" if isinstance(error, KeyError) else str(error)
    with pytest.raises(ValueError, match=re.escape(message)):
        hub_items(Hub(error), monkeypatch)


def test_a_row_of_the_hub_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=f"openai/gsm8k@{COMMIT}: row 1: the column 'n' is missing"):
        hub_items(Hub([{"q": "x"}]), monkeypatch)


# -- the source `ifeval` -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"instruction_id_list": []}, "row 1: the column 'kwargs' is missing"),
        (
            {"instruction_id_list": ["language:response_language"], "kwargs": [{}]},
            "'language:response_language' can't be",
        ),
        ({"instruction_id_list": ["punctuation:no_coma"], "kwargs": [{}]}, "did you mean: punctuation:no_comma"),
        ({"instruction_id_list": ["punctuation:no_comma"], "kwargs": []}, "1 entries in instruction_id_list, and 0 in"),
        ({"instruction_id_list": ["punctuation:no_comma"], "kwargs": [{"n": 1}]}, "unexpected keyword argument 'n'"),
        (
            {"instruction_id_list": ["length_constraints:number_words"], "kwargs": [{"num_words": 5}]},
            "missing 1 required positional argument: 'relation'",
        ),
        (
            {"instruction_id_list": ["length_constraints:number_words"], "kwargs": [{"num_words": 5, "relation": "<"}]},
            "unknown relation '<'; allowed: at least, less than",
        ),
        (
            {
                "instruction_id_list": ["length_constraints:number_words"],
                "kwargs": [{"num_words": "5", "relation": "at least"}],
            },
            "of length_constraints:number_words don't fit",
        ),
    ],
)
def test_instructions_that_cannot_be_checked(row: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"key": 1, "prompt": "p", **row}))
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        list(raw_items(IfevalSource(type="ifeval", data_files=str(path)), 0))
    assert str(path) in str(caught.value)


def test_arguments_that_are_null_are_not_given(tmp_path: Path) -> None:
    """The hub's version of IFEval has a column for every argument."""
    path = tmp_path / "a.jsonl"
    kwargs = [{"num_words": None, "num_highlights": 2}]
    kinds = ["detectable_format:number_highlighted_sections"]
    path.write_text(json.dumps({"key": 1, "prompt": "p", "instruction_id_list": kinds, "kwargs": kwargs}))
    (item,) = raw_items(IfevalSource(type="ifeval", data_files=str(path)), 0)
    assert item == RawItem("p", "", 1, {"instructions": [{"kind": kinds[0], "arguments": {"num_highlights": 2}}]})
