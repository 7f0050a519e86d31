"""Which texts imitation trains on: demonstrations with the end that the domain asks for, and samples that are kept."""

from typing import Any, Literal

import pytest

from thicket.config.domain import ScoredDomain, Window
from thicket.config.imitation import Rft, Ssd
from thicket.config.optimizer import Optimizer
from thicket.config.verifier import ExactVerifier
from thicket.domains.item import Item
from thicket.methods import rft, ssd
from thicket.methods.sft import demonstrations
from thicket.methods.texts import Sample
from thicket.models.characters import character_tokenizer
from thicket.sampling.environment import Environment
from thicket.sampling.prompts import encode_prompts, stop_ids

CHAT = (
    "{% for m in messages %}{{ m.role }} {{ m.content }}</s>\n{% endfor %}"
    "{% if add_generation_prompt %}assistant {% endif %}"
)
CHARACTERS = character_tokenizer()


def item(name: str, demonstration: str, prompt: Any = "sort 21=") -> Item:
    return Item(id=name, prompt=prompt, answer="12", level=1, demonstration=demonstration)


def environment(items: list[Item], stop: str | None, tokenizer: Any = CHARACTERS, response: int = 8) -> Environment:
    domain = ScoredDomain(
        name="sort", verifier=ExactVerifier(type="exact"), stop=stop, window=Window(prompt=64, response=response)
    )
    prompts = encode_prompts(tokenizer, items, domain.window.prompt, domain.name)
    return Environment(domain, items, prompts, stop_ids(tokenizer, stop), judge=lambda answered: [])


def shown(tokens: list[int]) -> str:
    return str(CHARACTERS.decode(tokens))


@pytest.mark.parametrize(("stop", "written"), [("\n", "12\n"), (None, "12</s>")])
def test_a_demonstration_ends_as_the_domain_says(stop: str | None, written: str) -> None:
    (text,) = demonstrations(CHARACTERS, environment([item("a", "12")], stop))
    assert shown(text.prompt) == "<s>sort 21="
    assert shown(text.response) == written


def test_the_end_is_there_where_padding_is_the_same_token() -> None:
    tokenizer = character_tokenizer()
    tokenizer.pad_token = tokenizer.eos_token
    (text,) = demonstrations(tokenizer, environment([item("a", "12")], None, tokenizer))
    assert text.response[-1] == tokenizer.eos_token_id
    assert len(text.response) == 3


def test_in_a_chat_the_template_closes_the_turn() -> None:
    tokenizer = character_tokenizer()
    tokenizer.chat_template = CHAT
    asked = item("a", " 12 ", [{"role": "user", "content": "sort 21"}])
    (text,) = demonstrations(tokenizer, environment([asked], None, tokenizer))
    assert shown(text.prompt) == "user sort 21</s>\nassistant "
    assert shown(text.response) == "12</s>"


def test_a_chat_template_that_rewrites_is_an_error() -> None:
    tokenizer = character_tokenizer()
    tokenizer.chat_template = CHAT.replace("m.content", "m.content | upper")
    asked = item("a", "abc", [{"role": "user", "content": "sort 21"}])
    with pytest.raises(ValueError, match="item a: the chat template rewrites the demonstration 'abc'"):
        demonstrations(tokenizer, environment([asked], None, tokenizer))


def test_items_without_a_demonstration_or_with_one_too_long_are_left_out() -> None:
    items = [item("a", ""), item("b", "1234567"), item("c", "12345678"), item("d", "1 2")]
    texts = demonstrations(CHARACTERS, environment(items, "\n"))
    assert [shown(text.response) for text in texts] == ["1234567\n", "1 2\n"], "8 tokens with the stop still fit"
    with pytest.raises(ValueError, match="of 1 train items, 0 have a demonstration"):
        demonstrations(CHARACTERS, environment(items[:1], "\n"))


def test_a_demonstration_with_the_stop_inside_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"item a: its demonstration holds the stop '\\n'"):
        demonstrations(CHARACTERS, environment([item("a", "1\n2")], "\n"))


# -- samples -----------------------------------------------------------------------------------------------------------

Keep = Literal["all", "distinct", "shortest"]
SAMPLES = [
    Sample([1, 2, 3], "12", correct=True),
    Sample([9], "", correct=False),
    Sample([4, 5], "12 ", correct=True),
    Sample([6, 7, 8], "wrong", correct=False),
    Sample([6, 7], "012", correct=True),
    Sample([8], "  \n", correct=True),
]


@pytest.mark.parametrize(("keep", "places"), [("all", [0, 2, 4, 5]), ("distinct", [0, 4, 5]), ("shortest", [5])])
def test_rejection_sampling_keeps_correct_samples(keep: Keep, places: list[int]) -> None:
    config = Rft(type="rft", steps=1, batch=1, optimizer=Optimizer(lr=1.0), keep=keep)
    assert rft.kept(config, SAMPLES) == [SAMPLES[place] for place in places]
    assert rft.kept(config, [SAMPLES[1], SAMPLES[3]]) == []


def test_of_equally_short_samples_the_first_is_kept() -> None:
    config = Rft(type="rft", steps=1, batch=1, optimizer=Optimizer(lr=1.0), keep="shortest")
    assert rft.kept(config, [SAMPLES[0], SAMPLES[2], SAMPLES[4]]) == [SAMPLES[2]]


def test_self_distillation_drops_empty_samples_alone() -> None:
    config = Ssd(type="ssd", steps=1, batch=1, optimizer=Optimizer(lr=1.0))
    unjudged = [Sample(sample.tokens, sample.text) for sample in SAMPLES]
    assert ssd.kept(config, unjudged) == [unjudged[place] for place in (0, 2, 3, 4)]
