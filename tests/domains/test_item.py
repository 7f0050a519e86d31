"""Items on disk: what is written is read, whatever characters it holds, and bad lines are named."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from thicket.config.domain import DataDomain, Prompt, Splits
from thicket.config.source import IfevalSource
from thicket.config.stages import DataStage
from thicket.domains.item import Item, read_items, write_items
from thicket.stages.data import make_data


def test_items_are_read_as_they_were_written(tmp_path: Path) -> None:
    items = [
        Item("0" * 16, "line\u2028separator, next\x85line, form\x0cfeed\r\n", "−5 é", 2, {"deep": [{"a": None}, 1.5]}),
        Item("1" * 16, [{"role": "user", "content": '"quoted"\n'}], "", 1),
    ]
    write_items(tmp_path / "items.jsonl", items)
    assert read_items(tmp_path / "items.jsonl") == items


def test_items_without_a_reference_are_read(tmp_path: Path) -> None:
    """As thicket wrote them before there was one."""
    (tmp_path / "old.jsonl").write_text(json.dumps({"id": "a", "prompt": "p", "answer": "x", "level": 1}) + "\n")
    assert read_items(tmp_path / "old.jsonl") == [Item("a", "p", "x", 1)]


@pytest.mark.parametrize(
    "line", ["", "[1]", "null", '{"id": "a"}', '{"id": "a", "prompt": "p", "answer": "x", "lvl": 1}']
)
def test_bad_lines(line: str, tmp_path: Path) -> None:
    good = json.dumps(dataclasses.asdict(Item("a", "p", "x", 1)))
    (tmp_path / "items.jsonl").write_text(f"{good}\n{line}\n{good}\n")
    with pytest.raises(ValueError, match=r"items\.jsonl:2: not an item"):
        read_items(tmp_path / "items.jsonl")


def test_items_with_many_right_answers_are_no_examples(tmp_path: Path) -> None:
    values: dict[str, Any] = {"name": "write", "source": IfevalSource(type="ifeval"), "splits": Splits(train=8)}
    domain = DataDomain(**values, prompt=Prompt(style="chat", shots=2, shot_pool=4))
    with pytest.raises(ValueError, match=r"domain write: prompt\.shots = 2: .* none to show; allowed: 0"):
        make_data(DataStage(name="write", domain=domain), tmp_path)
    assert list(tmp_path.iterdir()) == []
