"""Characters that a tokenizer doesn't know: what is said of them, and when nothing is begun."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from thicket.config.domain import ScoredDomain, Window
from thicket.config.never_right import NeverRight, as_noted, in_words, noted_in
from thicket.config.verifier import ChoiceVerifier, ExactVerifier, MathVerifier, NumberVerifier
from thicket.domains.item import Item, write_items
from thicket.methods.sft import demonstrations
from thicket.models.characters import character_tokenizer
from thicket.sampling.environment import count_never_right, load_environment
from thicket.sampling.unknown import check_known, unknown_characters
from thicket.training.shown import readable

TOKENIZER = character_tokenizer()
EXACT = ExactVerifier(type="exact")


def domain(verifier: Any = EXACT) -> ScoredDomain:
    return ScoredDomain(name="words", verifier=verifier, stop="\n", window=Window(prompt=30, response=9))


def items(*pairs: tuple[str, str]) -> list[Item]:
    return [Item(f"{n:016}", question, answer, 1, demonstration=answer) for n, (question, answer) in enumerate(pairs)]


def test_characters_that_are_not_in_the_vocabulary() -> None:
    assert unknown_characters(TOKENIZER, ["Sort 312?", "sort É"]) == {"S", "?", "É"}
    assert unknown_characters(TOKENIZER, []) == unknown_characters(TOKENIZER, ["sort 312="]) == set()


def test_a_tokenizer_of_bytes_knows_everything() -> None:
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    vocabulary = {text: place for place, text in enumerate([*sorted(alphabet), "<|end|>"])}
    made = Tokenizer(models.BPE(vocabulary, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # type: ignore[assignment]
    made.decoder = decoders.ByteLevel()  # type: ignore[assignment]
    of_bytes = PreTrainedTokenizerFast(tokenizer_object=made, unk_token="<|end|>", eos_token="<|end|>")
    assert unknown_characters(of_bytes, ["Éé 漢字 ?"]) == set()
    assert readable(of_bytes, of_bytes("Né<|end|>").input_ids) == "Né"


def test_one_note_a_split_says_how_many_which_and_the_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_items(tmp_path / "train.jsonl", items(("say a", "a"), ("Say b?", "b"), ("say Ä", "Cd"), ("SAY", "e")))
    load_environment(domain(), tmp_path, "train", TOKENIZER)
    assert capsys.readouterr().out.splitlines() == [
        "Note: domain words: train: 3 of 4 prompts hold characters that the model's tokenizer doesn't know, which it "
        "can't tell apart: '?' 'A' 'S' 'Y' 'Ä'; the first: 'Say b?'",
        "Note: domain words: train: 1 of 4 answers hold characters that no response can (the stop character, or "
        "what the model's tokenizer doesn't know), 1 of them can never be right: 'C'; the first: 'Cd'",
    ]
    write_items(tmp_path / "test.jsonl", items(("say a", "a")))
    load_environment(domain(), tmp_path, "test", TOKENIZER)
    assert capsys.readouterr().out == ""


def test_how_many_items_can_never_be_right(tmp_path: Path) -> None:
    pairs = ("say a", "a"), ("say b", "Bc"), ("say c", "c"), ("say d", "D")
    write_items(tmp_path / "train.jsonl", items(*pairs))
    asked = load_environment(domain(), tmp_path, "train", TOKENIZER)
    assert count_never_right([asked]) == {"words": NeverRight(items=2, of=4)}
    assert count_never_right([replace(asked, items=asked.items[:3])]) == {"words": NeverRight(items=1, of=3)}
    assert count_never_right([replace(asked, items=asked.items[:1])]) == {}


def test_what_is_noted_of_them_can_be_read_again() -> None:
    counts = {"words": NeverRight(items=2, of=4), "more": NeverRight(items=1, of=3)}
    assert noted_in({"steps": 1, **as_noted(counts)}) == counts
    assert as_noted({}) == noted_in({"steps": 1}) == {}
    told = "2 of 4 test answers of words, 1 of 3 test answers of more can never be right: "
    assert in_words(counts, "test") == told + "they hold characters that no response of the model can"
    assert in_words({}, "test") == ""


def test_an_answer_that_its_stop_character_would_cut_off_can_never_be_right(capsys: pytest.CaptureFixture[str]) -> None:
    pairs = ("say a", "a"), ("say b", "b\nc")
    assert check_known(domain(), "test", items(*pairs), TOKENIZER) == {items(*pairs)[1].id}
    assert r"1 of them can never be right: '\n'; the first: 'b\nc'" in capsys.readouterr().out
    with pytest.raises(ValueError, match=r"words: test: no response can be right, .*: '\\n'; the first: 'b\\nc'"):
        check_known(domain(), "test", items(*pairs[1:]), TOKENIZER)
    free = domain().model_copy(update={"stop": None})
    assert check_known(free, "test", items(*pairs), TOKENIZER) == set()


def test_where_no_answer_can_be_written_nothing_begins() -> None:
    with pytest.raises(ValueError, match=r"words: test: no response can be right, .* 'B' 'C'; the first: 'Ba'"):
        check_known(domain(), "test", items(("say ba", "Ba"), ("say ca", "Ca")), TOKENIZER)


@pytest.mark.parametrize(
    ("verifier", "answer"),
    [
        (NumberVerifier(type="number"), "1,200"),  # 1200 is right as well,
        (ChoiceVerifier(type="choice"), "B"),  # and so is a b by itself;
        (MathVerifier(type="math"), r"\frac{1}{2}"),  # there may be another way to write it.
    ],
)
def test_an_answer_that_can_be_written_otherwise_may_be_right(
    verifier: Any, answer: str, capsys: pytest.CaptureFixture[str]
) -> None:
    check_known(domain(verifier), "test", items(("which", answer)), TOKENIZER)
    assert "1 of 1 answers hold characters that no response can " in capsys.readouterr().out


def test_demonstrations_that_can_not_be_written_are_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_items(tmp_path / "train.jsonl", items(("say a", "a"), ("say b", "B")))
    found = demonstrations(TOKENIZER, load_environment(domain(), tmp_path, "train", TOKENIZER))
    assert [TOKENIZER.decode(text.response) for text in found] == ["a\n"]
    assert "of 2 train items, 2 have a demonstration, 1 of them in characters that" in capsys.readouterr().out


def test_samples_for_people_show_them() -> None:
    assert readable(TOKENIZER, TOKENIZER("Say it")["input_ids"]) == "<unk>ay it"
