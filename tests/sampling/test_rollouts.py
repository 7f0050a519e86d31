"""Rollouts: what is cut, in which order requests are answered, and which positions are trained."""

from pathlib import Path

import pytest
from small_models import random_llama
from transformers import LlamaForCausalLM

from thicket.domains.item import Item
from thicket.models.characters import character_tokenizer
from thicket.sampling.decode import Decoding
from thicket.sampling.environment import load_environment
from thicket.sampling.prompts import encode_prompts, stop_ids
from thicket.sampling.rollouts import Request, Response, sequences
from thicket.sampling.sampler import TorchSampler

TOKENIZER = character_tokenizer()


def random_model() -> LlamaForCausalLM:
    return random_llama(vocab_size=len(TOKENIZER))


def responses(requests: list[Request], batch: int) -> list[list[Response]]:
    stops = stop_ids(TOKENIZER, "\n")
    return TorchSampler(batch).respond(random_model(), TOKENIZER, requests, Decoding(1.0, most=8), stops, "\n")


def requests(*texts: str, count: int = 2) -> list[Request]:
    return [Request(TOKENIZER(text)["input_ids"], key, count) for key, text in enumerate(texts)]


def test_answers_come_in_the_order_of_the_requests_whatever_the_batch() -> None:
    asked = requests("sort 31=", "odd 7=", "reverse abcde=", count=3)
    whole = responses(asked, batch=100)
    for batch in (1, 4):
        assert [[r.tokens for r in group] for group in responses(asked, batch)] == [
            [r.tokens for r in group] for group in whole
        ]
    assert [len(group) for group in whole] == [3, 3, 3]


def test_text_ends_before_the_stop_and_the_stop_is_the_last_token() -> None:
    found = [response for group in responses(requests("sort 31=", count=64), 100) for response in group]
    newline, end = TOKENIZER("\n", add_special_tokens=False)["input_ids"][0], TOKENIZER.eos_token_id
    assert {response.stopped for response in found} == {True, False}
    for response in found:
        assert "\n" not in response.text
        assert (response.tokens[-1] in (newline, end)) == response.stopped
        assert len(response.log_probs) == len(response.tokens)


def test_stop_ids_are_all_tokens_that_hold_the_stop() -> None:
    assert stop_ids(TOKENIZER, None) == [TOKENIZER.eos_token_id]
    assert sorted(TOKENIZER.batch_decode([[i] for i in stop_ids(TOKENIZER, "\n")])) == ["\n", "</s>"]


def test_sequences_by_hand() -> None:
    batch = sequences([[5, 6, 7], [8]], [[9, 2], [10, 11, 2]], "cpu")
    assert batch.ids_BL.tolist() == [[5, 6, 7, 9, 2], [8, 10, 11, 2, 0]]
    assert batch.positions_K.tolist() == [0, 1, 2, 3]
    assert batch.targets_BK.tolist() == [[6, 7, 9, 2], [10, 11, 2, 0]]
    assert batch.mask_BK.tolist() == [[0, 0, 1, 1], [1, 1, 1, 0]]
    assert batch.lengths_B.tolist() == [5, 4]


def test_a_prompt_beyond_the_window_is_refused() -> None:
    item = Item("0" * 16, "sort 123=", "123", 3)
    assert len(encode_prompts(TOKENIZER, [item], 10, "sort")[0]) == 10  # nine characters and the first token
    with pytest.raises(ValueError, match=r"domain sort: a prompt has 10 tokens, and domain.window.prompt allows 9"):
        encode_prompts(TOKENIZER, [item], 9, "sort")


def test_a_chat_needs_a_template() -> None:
    item = Item("0" * 16, [{"role": "user", "content": "hello"}], "", 1)
    with pytest.raises(ValueError, match="no chat template"):
        encode_prompts(TOKENIZER, [item], 100, "talk")


def test_missing_data_says_what_makes_it(tmp_path: Path) -> None:
    from thicket.config.domain import ScoredDomain, Window
    from thicket.config.verifier import ExactVerifier

    domain = ScoredDomain(name="sort", verifier=ExactVerifier(type="exact"), window=Window(prompt=9, response=9))
    with pytest.raises(ValueError, match="`dvc repro data-sort` makes it"):
        load_environment(domain, tmp_path, "train", TOKENIZER)


def test_an_instruction_leads_and_a_template_goes_around() -> None:
    from thicket.sampling.environment import framed

    raw = Item("0" * 16, "sort 312=", "123", 1)
    assert framed(raw, "", None) is raw
    assert framed(raw, "Think. ", "{prompt}\n").prompt == "Think. sort 312=\n"
    chat = Item("0" * 16, [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}], "", 1)
    assert framed(chat, "Think.", "<{prompt}>").prompt == [
        {"role": "system", "content": "Think.\n\nBe kind."},
        {"role": "user", "content": "<Hi>"},
    ]
    alone = Item("0" * 16, [{"role": "user", "content": "Hi"}], "", 1)
    assert framed(alone, "Think.", None).prompt[0] == {"role": "system", "content": "Think."}
    assert chat.prompt[1] == {"role": "user", "content": "Hi"}, "the item stays as it is"


def test_nothing_asked_is_nothing_answered() -> None:
    assert TorchSampler(4).respond(random_model(), TOKENIZER, [], Decoding(1.0, most=8), [2], "\n") == []
