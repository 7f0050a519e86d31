"""The data stage: splits by hash, disjoint and stable; examples that nobody is asked."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from thicket.config.base import Corpus
from thicket.config.domain import DataDomain, Prompt, Splits
from thicket.config.source import DatasetSource, ProceduralSource
from thicket.config.stages import DataStage
from thicket.domains.corpus import documents
from thicket.domains.item import RawItem, item_id, read_items, split_of
from thicket.domains.sources.procedural import TASKS, longest_question, question, raw_items
from thicket.stages.data import collect, item_of, make_data

SORT = ProceduralSource(type="procedural", task="sort", levels=[3, 4, 5])


def domain(**values: Any) -> DataDomain:
    return DataDomain(**{"name": "sort", "source": SORT, "splits": Splits(train=40, selection=10, test=20), **values})


def made(tmp_path: Path, config: DataDomain, seed: int = 0) -> dict[str, list]:
    make_data(DataStage(name="sort", seed=seed, domain=config), tmp_path)
    return {name: read_items(tmp_path / f"{name}.jsonl") for name in ("train", "selection", "test")}


def test_the_split_is_the_place_of_the_hash() -> None:
    assert item_id("sort 312") == "3e3ed054dc1a91cd"
    assert split_of("f" * 16, 0.6, 0.15) == "test"
    assert split_of("0" * 16, 0.6, 0.15) == "train"
    assert split_of("a" + "0" * 15, 0.6, 0.15) == "selection"  # 10/16 = 0.625


def test_splits_are_full_disjoint_and_the_same_in_every_run(tmp_path: Path) -> None:
    splits = made(tmp_path, domain())
    assert {name: len(items) for name, items in splits.items()} == {"train": 40, "selection": 10, "test": 20}
    ids = [{item.id for item in items} for items in splits.values()]
    assert not any(a & b for a, b in itertools.combinations(ids, 2))
    assert made(tmp_path, domain()) == splits
    assert made(tmp_path, domain(), seed=1) != splits


def test_another_seed_moves_no_item_to_another_split(tmp_path: Path) -> None:
    places: dict[str, str] = {}
    for seed in range(5):
        for name, items in made(tmp_path, domain(), seed).items():
            assert all(places.setdefault(item.id, name) == name for item in items)


def test_a_small_source_ends_and_an_empty_split_is_an_error(tmp_path: Path) -> None:
    def three() -> Iterator[RawItem]:
        yield from [RawItem(f"q{n}", "a") for n in (1, 2, 2, 3)]

    assert sum(map(len, collect(domain(), three()).splits.values())) == 3
    one = ProceduralSource(type="procedural", task="sort", levels=[1])  # ten questions in all
    with pytest.raises(ValueError, match=r"domain sort: no item falls in"):
        made(tmp_path, domain(source=one, splits=Splits(train_share=0.9, selection_share=0.01)))


def test_rows_that_contradict_each_other_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Equal rows are not, nor do those count that differ in their level alone."""
    rows = [{"q": f"q{n}", "a": "1", "level": 1} for n in range(40)]
    rows += [{**rows[0], "level": 2}, rows[1], {**rows[2], "a": "2"}, {**rows[2], "a": "3"}, {**rows[3], "a": "2"}]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    values = {"type": "dataset", "data_files": str(path), "question": "{q}", "answer": "{a}", "level": "level"}
    made(tmp_path, domain(source=DatasetSource.model_validate(values)))
    (note,) = [line for line in capsys.readouterr().out.splitlines() if "another answer" in line]
    assert note.startswith("Note: data sort: 3 items left out, whose question an earlier one has with another answer (")


def test_few_items_say_how_little_they_tell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def notes(count: int, **splits: int) -> list[str]:
        path = tmp_path / "rows.jsonl"
        path.write_text("".join(json.dumps({"q": f"q{n}", "a": "1"}) + "\n" for n in range(count)), encoding="utf-8")
        source = DatasetSource(type="dataset", data_files=str(path), question="{q}", answer="{a}")
        made(tmp_path, domain(source=source, splits=Splits.model_validate(splits)))
        return [line for line in capsys.readouterr().out.splitlines() if "Note" in line]

    told = notes(20, selection=1)
    assert len(told) == 1, "there are as many selection items as were asked for"
    in_test = len(read_items(tmp_path / "test.jsonl"))
    reach = round(98 / in_test**0.5)
    assert told[0] == (
        f"Note: data sort: {in_test} items in test, where splits.test allows 128: "
        f"a score of 50 % on them has a 95 % interval of ±{reach} points."
    )
    assert notes(2000, selection=64) == []


def test_examples_come_out_of_the_pool_and_are_nobodys_item(tmp_path: Path) -> None:
    prompt = Prompt(template="{question}=", shots=3, shot_pool=8, shot_template="{prompt}{answer}\n")
    splits = made(tmp_path, domain(prompt=prompt))
    asked = {item.prompt.splitlines()[-1] for items in splits.values() for item in items}
    shown = {
        line.split("=")[0] + "=" for items in splits.values() for i in items for line in i.prompt.splitlines()[:-1]
    }
    assert len(shown) == 8
    assert not shown & asked
    assert len({item.prompt.rsplit("\n", 1)[0] for item in splits["test"]}) > 15  # drawn anew for each item
    with pytest.raises(ValueError, match=r"`shots` .9. are drawn from a `shot_pool` of at least as many"):
        Prompt(shots=9, shot_pool=8)


def test_a_chat_has_its_examples_as_turns() -> None:
    prompt = Prompt(style="chat", shots=1, shot_pool=1, system="Be brief.")
    item = item_of(prompt, [RawItem("1+1", "2")], RawItem("2+2", "4"))
    assert item.prompt == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "1+1"},
        {"role": "assistant", "content": "2"},
        {"role": "user", "content": "2+2"},
    ]


def test_a_bad_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    good = json.dumps({"id": "a", "prompt": "p\u2028q", "answer": "x", "level": 1}, ensure_ascii=False)
    path.write_text(f"{good}\n{{'no'}}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"train.jsonl:2: not an item"):
        read_items(path)


@pytest.mark.parametrize(
    ("task", "instance", "right", "wrong"),
    [
        ("sort", "3120", "0123", ("3210", "3120")),
        ("reverse", "abcd", "dcba", ("abcd", "bcda")),
        ("shift", "aij", "bja", ("jhi", "cab")),
        ("odd", "31240", "31", ("240", "31240")),
        ("add", "57 + 68", "125", ("15", "11")),
        ("count", "a abca", "2", ("2", "4")),
        ("swap", "abcde", "badce", ("abcde", "acbed")),
        ("double", "abc", "aabbcc", ("abcabc", "abc")),
        ("unique", "abaca", "abc", ("abaca", "abc")),
        ("largest", "3914", "9", ("1", "3")),
        ("nines", "3914", "6085", ("3914", "4025")),
        ("mirror", "abc", "abccba", ("abcabc", "cba")),
    ],
)
def test_tasks_and_their_wrong_writers_by_hand(task: str, instance: str, right: str, wrong: tuple[str, ...]) -> None:
    assert TASKS[task].solve(instance) == right
    assert tuple(solve(instance) for solve in TASKS[task].wrong) == wrong


@pytest.mark.parametrize("task", TASKS)
def test_the_longest_question_is_as_long_as_any(task: Any) -> None:
    source = ProceduralSource(type="procedural", task=task, levels=[2, 4])
    drawn = [raw.question for raw in itertools.islice(raw_items(source, 0), 500)]
    assert longest_question(source) == max(map(len, drawn))


def test_a_question_has_the_tasks_name_unless_it_is_not_to() -> None:
    assert question(SORT, "312") == "sort 312"
    assert question(SORT.model_copy(update={"named": False}), "312") == "312"


def test_nobody_writes_about_a_test_item() -> None:
    corpus = Corpus(tasks=[SORT], wrong_share=0.5, problems=4, template="{question}=")
    written = [asked for step in range(20) for doc in documents(corpus, 0, step, 16) for asked, _ in doc]
    assert len(written) == 20 * 16 * 4
    assert {split_of(item_id(asked.removesuffix("=")), 0.6, 0.15) for asked in written} == {"train"}


def test_about_half_of_the_documents_are_wrong_throughout() -> None:
    corpus = Corpus(tasks=[SORT], wrong_share=0.5, problems=3)
    right = []
    for doc in documents(corpus, 0, 0, 400):
        verdicts = {answer.strip() == "".join(sorted(asked.split()[1])) for asked, answer in doc}
        right.append(verdicts == {True})
    assert 0.4 < sum(right) / 400 < 0.6


def test_a_question_that_looks_like_a_template_stays_as_it_is() -> None:
    prompt = Prompt(shots=1, shot_pool=1, shot_template="{prompt}={answer};")
    assert item_of(prompt, [RawItem("what is {answer}", "4")], RawItem("q", "a")).prompt == "what is {answer}=4;q"


def test_a_row_more_moves_one_item_at_most_of_a_capped_split(tmp_path: Path) -> None:
    """And a corrected label none, and the file's order none; examples are drawn so, too."""
    rows = [{"q": f"{n}+{n}", "n": 2 * n} for n in range(400)]
    caps = Splits(train=40, selection=20, test=30)
    prompt = Prompt(template="{question}=", shots=2, shot_pool=8, shot_template="{prompt}{answer};")

    def of(name: str, rows: list[dict]) -> dict[str, dict[str, str]]:
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        files = str(tmp_path / f"{name}.jsonl")
        source = DatasetSource(type="dataset", data_files=files, question="{q}", answer="{n}")
        splits = made(tmp_path, domain(source=source, splits=caps, prompt=prompt))
        return {split: {item.id: item.prompt for item in items} for split, items in splits.items()}

    before = of("before", rows)
    assert {name: len(items) for name, items in before.items()} == {"train": 40, "selection": 20, "test": 30}
    assert of("turned", rows[::-1]) == before
    labelled = of("labelled", [{**row, "n": 0} if row["q"] == "7+7" else row for row in rows])
    assert all(set(labelled[name]) == set(before[name]) for name in before)
    moved = rephrased = 0
    for n in range(400, 440):
        after = of("after", [{"q": f"{n}+{n}", "n": 2 * n}, *rows])
        gone = sum(len(set(before[name]) - set(after[name])) for name in before)
        # One that goes into the shots' pool pushes another to train's items, and that one the last of these out.
        assert gone <= 1
        moved += gone
        stay = [(before[name][id], after[name][id]) for name in before for id in set(before[name]) & set(after[name])]
        changed = sum(one != other for one, other in stay)
        assert changed <= len(stay) / 2  # two of eight examples each: those that had the lost one, or have the new one
        rephrased += changed > 0
    assert moved > 2
    assert rephrased > 0
