"""Worked solutions in items and examples, and domains that are for evaluation only."""

import json
from pathlib import Path
from typing import Any

import pytest

from thicket.config.domain import DataDomain, Prompt, Splits
from thicket.config.source import DatasetSource, ProceduralSource
from thicket.config.stages import DataStage
from thicket.domains.item import Item, RawItem, read_items
from thicket.stages.data import item_of, make_data

SORT = ProceduralSource(type="procedural", task="sort", levels=[3, 4, 5])


def domain(**values: Any) -> DataDomain:
    return DataDomain(**{"name": "sort", "source": SORT, "splits": Splits(train=40, selection=10, test=20), **values})


def made(tmp_path: Path, config: DataDomain) -> dict[str, list[Item]]:
    tmp_path.mkdir(exist_ok=True)
    make_data(DataStage(name="sort", domain=config), tmp_path)
    return {name: read_items(tmp_path / f"{name}.jsonl") for name in ("train", "selection", "test")}


def test_a_demonstration_is_the_worked_solution_or_the_answer(tmp_path: Path) -> None:
    worked = RawItem("1+1", "2", demonstration="One and one is 2.")
    assert item_of(Prompt(), [], worked).demonstration == "One and one is 2."
    assert item_of(Prompt(), [], RawItem("1+1", "2")).demonstration == "2"
    assert item_of(Prompt(), [], RawItem("Write.", "")).demonstration == ""
    assert all(item.demonstration == item.answer for items in made(tmp_path, domain()).values() for item in items)


def test_an_example_shows_the_demonstration_where_it_is_asked_for() -> None:
    pool, raw = [RawItem("1+1", "2", demonstration="Add: {answer}")], RawItem("2+2", "4")
    shown = Prompt(
        template="{question}=", shots=1, shot_pool=1, shot_template="{prompt} {demonstration}; so {answer}\n"
    )
    assert item_of(shown, pool, raw).prompt == "1+1= Add: {answer}; so 2\n2+2="
    assert item_of(Prompt(style="chat", shots=1, shot_pool=1), pool, raw).prompt[1]["content"] == "Add: {answer}"  # type: ignore[index]
    with pytest.raises(ValueError, match=r"needs \{prompt\}, and \{answer\} or \{demonstration\}"):
        Prompt(shot_template="{prompt}")


def test_a_demonstration_goes_on_as_the_examples_do() -> None:
    pool = [RawItem("1+1", "2")]
    raw = Prompt(template="Q: {question}\nA:", shots=1, shot_pool=1, shot_template="{prompt} {answer}\n\n")
    assert item_of(raw, pool, RawItem("2+2", "4")).demonstration == " 4"
    assert item_of(Prompt(template="Q: {question}\nA:"), [], RawItem("2+2", "4")).demonstration == "4"
    assert item_of(Prompt(style="chat", shots=1, shot_pool=1), pool, RawItem("2+2", "4")).demonstration == "4"


def test_examples_show_what_the_source_has(tmp_path: Path) -> None:
    """A source of programs has demonstrations and no answers: an example with `{answer}` would show nothing."""
    rows = "".join(json.dumps({"q": f"question {n}", "d": f"work {n}"}) + "\n" for n in range(40))
    (tmp_path / "rows.jsonl").write_text(rows)
    source = DatasetSource(type="dataset", data_files=str(tmp_path / "rows.jsonl"), question="{q}", demonstration="{d}")
    shown = Prompt(shots=1, shot_pool=1, shot_template="{prompt} {demonstration}\n")
    assert "work" in str(made(tmp_path / "shown", domain(source=source, prompt=shown))["test"][0].prompt)
    with pytest.raises(
        ValueError, match=r"a demonstration and no answer; prompt.shot_template has to show \{demonstration\}"
    ):
        made(tmp_path / "hidden", domain(source=source, prompt=Prompt(shots=1, shot_pool=1)))


EVALUATION_ONLY = Splits(train_share=0.0, selection_share=0.0, test=7)


def test_with_no_shares_all_items_are_test_items(tmp_path: Path) -> None:
    splits = made(tmp_path, domain(splits=EVALUATION_ONLY))
    assert {name: len(items) for name, items in splits.items()} == {"train": 0, "selection": 0, "test": 7}
    with pytest.raises(ValueError, match=r"shots. are taken from the train split, which is empty"):
        domain(splits=EVALUATION_ONLY, prompt=Prompt(shots=1))


@pytest.mark.parametrize("shares", [(0.0, 0.2), (0.2, 0.0), (0.5, 0.5), (1.0, 0.0)])
def test_shares_are_both_something_or_both_nothing(shares: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="or both are 0, and all is test"):
        Splits(train_share=shares[0], selection_share=shares[1])


def test_an_evaluation_only_domain_without_items_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "none.json").write_text("[]")
    source = DatasetSource(type="dataset", data_files=str(tmp_path / "none.json"), question="{q}", answer="{a}")
    with pytest.raises(ValueError, match="domain sort: no item falls in test"):
        made(tmp_path, domain(source=source, splits=EVALUATION_ONLY))


@pytest.mark.parametrize("style", ["raw", "chat"])
def test_every_style_takes_every_part(style: Any) -> None:
    prompt = Prompt(
        style=style, template="Q: {question}", shots=1, shot_pool=1, system="S" if style == "chat" else None
    )
    text = json.dumps(item_of(prompt, [RawItem("1+1", "2")], RawItem("2+2", "4")).prompt)
    assert [part for part in ("Q: 1+1", "2", "Q: 2+2") if part not in text] == []
    assert ('"system"' in text) is (style == "chat")
