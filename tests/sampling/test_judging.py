"""A model's verdict on what passes the checks."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from small_models import random_llama
from transformers import LlamaForCausalLM

from thicket.config.domain import ScoredDomain, Window
from thicket.config.verifier import JudgeModel, WritingVerifier
from thicket.domains.item import Item
from thicket.domains.registry import judge_of
from thicket.domains.verdict import Verdict
from thicket.models.characters import character_tokenizer
from thicket.models.folder import save_model
from thicket.sampling import judging
from thicket.sampling.environment import Environment
from thicket.sampling.judging import ModelJudge, with_judge
from thicket.sampling.prompts import stop_ids
from thicket.sampling.sampler import TorchSampler

TOKENIZER: Any = character_tokenizer()
ITEM = Item("0" * 16, "say abc", "", 1)


def saying(text: str) -> LlamaForCausalLM:
    """A model whose every next token is the one that follows in the text, by its bigrams: `7` after `=`."""
    model = random_llama(
        vocab_size=len(TOKENIZER),
        hidden_size=len(TOKENIZER),
        max_position_embeddings=256,
        bos_token_id=TOKENIZER.bos_token_id,
        eos_token_id=TOKENIZER.eos_token_id,
    )
    for parameter in model.parameters():
        torch.nn.init.zeros_(parameter)
    torch.nn.init.ones_(model.model.norm.weight)
    torch.nn.init.eye_(model.model.embed_tokens.weight)
    ids = [*TOKENIZER(text, add_special_tokens=False)["input_ids"], TOKENIZER.eos_token_id]
    for before, after in pairwise(ids):
        model.lm_head.weight.data[after, before] = 1.0
    return model


def environment(judge: dict[str, Any]) -> Environment:
    verifier = WritingVerifier.model_validate({"type": "writing", "required": ["abc"], "judge": judge})
    domain = ScoredDomain(name="write", verifier=verifier, window=Window(prompt=20, response=20))
    return Environment(domain, [ITEM], [[1]], stop_ids(TOKENIZER, None), judge_of(verifier))


@pytest.mark.parametrize(
    ("reply", "correct", "reason"),
    [
        ("=8", True, ""),
        ("=7", True, ""),
        ("=8/9", True, ""),
        ("=3", False, "judged 3"),
        ("=a", False, "the judge gave no score"),
    ],
)
def test_the_first_number_of_the_reply_decides(reply: str, correct: bool, reason: str) -> None:
    judged = with_judge(environment({"template": "{question} {response}="}), saying(reply), TOKENIZER, TorchSampler(4))
    (verdict,) = judged.judge([("abc", ITEM)])
    assert (verdict.correct, verdict.reason) == (correct, reason)


def test_what_fails_the_checks_is_not_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    encoded = ModelJudge._encoded

    def noting(self: ModelJudge, item: Item, response: str) -> list[int]:
        asked.append(response)
        return encoded(self, item, response)

    monkeypatch.setattr(ModelJudge, "_encoded", noting)
    judged = with_judge(environment({"template": "{response}="}), saying("=9"), TOKENIZER, TorchSampler(4))
    verdicts = judged.judge([("xyz", ITEM), ("abc d", ITEM), ("", ITEM)])
    assert [verdict.correct for verdict in verdicts] == [False, True, False]
    assert asked == ["abc d"]


def test_what_judging_takes_is_told() -> None:
    judged = with_judge(environment({"template": "{response}="}), saying("=9"), TOKENIZER, TorchSampler(4))
    failed, passed = judged.judge([("xyz", ITEM), ("abc", ITEM)])
    # `<s>abc=` is read, `9` and the end are generated.
    assert passed.flops == 2 * saying("=9").num_parameters() * (5 + 2)
    assert failed.flops == 0


def test_a_judge_of_its_own_is_not_the_policy(tmp_path: Path) -> None:
    save_model(saying("=9"), TOKENIZER, tmp_path / "judge")
    config = {"template": "{response}=", "folder": str(tmp_path / "judge")}
    (verdict,) = with_judge(environment(config), saying("=1"), TOKENIZER, TorchSampler(4)).judge([("abc", ITEM)])
    assert verdict.correct


def test_a_response_cannot_fill_the_template(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Any] = []
    monkeypatch.setattr(judging, "encode_prompt", lambda tokenizer, item: shown.append(item.prompt) or [1])
    judged = with_judge(environment({"template": "{question}|{response}|"}), saying("=9"), TOKENIZER, TorchSampler(4))
    judged.judge([("abc {question} {response}", ITEM)])
    assert shown == ["say abc|abc {question} {response}|"]


def test_no_judge_no_change() -> None:
    verifier = WritingVerifier(type="writing")
    domain = ScoredDomain(name="write", verifier=verifier, window=Window(prompt=20, response=20))
    plain = Environment(domain, [ITEM], [[1]], [2], judge_of(verifier))
    assert with_judge(plain, saying("=9"), TOKENIZER, TorchSampler(4)) is plain


def test_the_template_shows_the_response() -> None:
    with pytest.raises(ValueError, match=r"needs \{response\}"):
        JudgeModel(template="{question}?")


def test_beside_a_judge_partial_credit_of_the_checks_does_not_count() -> None:
    """What the checks refuse at a half is worth no more than what they pass and the judge refuses."""
    checks = lambda answered: [Verdict(text == "abc", grade=0.5) for text, _ in answered]  # noqa: E731
    config = JudgeModel(template="{response}=", accepted=7.0)
    judge = ModelJudge(checks, config, saying("=3"), TOKENIZER, TorchSampler(4))
    assert [one.earned for one in judge([("abc", ITEM), ("b", ITEM)])] == [0.0, 0.0]
