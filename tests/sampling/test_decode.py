"""The decode loop against `generate` and against a plain forward pass, on small random models of several families."""

from typing import Any

import pytest
import torch
from small_models import SIZES
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    LlamaConfig,
    PreTrainedModel,
    Qwen2Config,
    Qwen3Config,
)

from thicket.models.pooled import Pooled
from thicket.ops import draws
from thicket.sampling.decode import Decoding, decode
from thicket.sampling.prompts import Prompts, left_pad

VOCABULARY = 60
PROMPTS = [[5, 6, 7], [8], [9, 10, 11, 12, 13, 14], [15, 16]]
SHAPE: dict[str, Any] = {
    **SIZES,
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
FAMILIES = {
    "llama": LlamaConfig(**SHAPE),
    "qwen2": Qwen2Config(**SHAPE),
    "qwen3": Qwen3Config(**SHAPE, head_dim=8),
    "gpt2": GPT2Config(vocab_size=VOCABULARY, n_embd=32, n_layer=2, n_head=4, n_positions=64, eos_token_id=2),
}


def small_model(family: str = "llama", spread: float = 8.0) -> PreTrainedModel:
    """Random weights; logits spread out, so that no two tokens are near a tie."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(FAMILIES[family]).eval()
    with torch.no_grad():
        model.get_output_embeddings().weight.mul_(spread)
    return model


def keys(count: int, seed: int = 0) -> torch.Tensor:
    return draws.keys_tensor([draws.key(seed, row) for row in range(count)])


def padded(prompts: list[list[int]]) -> Prompts:
    return left_pad(prompts, pad_id=0, device="cpu")


@pytest.mark.parametrize("family", FAMILIES)
def test_greedy_equals_generate(family: str) -> None:
    model, prompts, most = small_model(family), padded(PROMPTS), 12
    found = decode(model, prompts, keys(len(PROMPTS)), Decoding(0.0, most=most), stop_ids=[2])
    plain: Any = model
    expected = plain.generate(
        input_ids=prompts.ids_BP,
        attention_mask=prompts.mask_BP.long(),
        max_new_tokens=most,
        do_sample=False,
        eos_token_id=2,
        pad_token_id=0,
    )[:, prompts.ids_BP.shape[1] :]
    width = found.tokens_BT.shape[1]
    assert found.tokens_BT.tolist() == expected[:, :width].tolist()
    assert not expected[:, width:].any()


@pytest.mark.parametrize(("temperature", "top_k", "top_p"), [(1.0, 0, 1.0), (1.5, 8, 0.9)])
def test_behaviour_log_probs_are_those_of_a_plain_forward_pass(temperature: float, top_k: int, top_p: float) -> None:
    from thicket.ops.sampling import warped_log_probs

    model = small_model(spread=2.0)
    found = decode(model, padded(PROMPTS), keys(4), Decoding(temperature, top_k, top_p, most=10), stop_ids=[2])
    for row, prompt in enumerate(PROMPTS):
        length = int(found.lengths_B[row])
        tokens = found.tokens_BT[row, :length]
        logits_LV = model(torch.tensor([prompt + tokens.tolist()])).logits[0].detach()
        log_probs_TV = warped_log_probs(logits_LV[len(prompt) - 1 : -1], temperature, top_k, top_p)
        expected_T = log_probs_TV.gather(1, tokens.unsqueeze(1)).squeeze(1)
        torch.testing.assert_close(found.log_probs_BT[row, :length], expected_T, rtol=1e-4, atol=1e-5)


def test_a_row_does_not_depend_on_its_batch() -> None:
    model, decoding = small_model(spread=2.0), Decoding(1.0, most=10)
    whole = decode(model, padded(PROMPTS), keys(4), decoding, stop_ids=[2])
    for row, prompt in enumerate(PROMPTS):
        alone = decode(model, padded([prompt]), keys(4)[row : row + 1], decoding, stop_ids=[2])
        length = int(whole.lengths_B[row])
        assert int(alone.lengths_B[0]) == length
        assert alone.tokens_BT[0, :length].tolist() == whole.tokens_BT[row, :length].tolist()


def test_a_shared_prompt_equals_a_repeated_one() -> None:
    model, decoding = small_model(spread=2.0), Decoding(1.0, most=8)
    shared = decode(model, padded(PROMPTS), keys(12), decoding, stop_ids=[2])
    repeated = decode(model, padded([p for p in PROMPTS for _ in range(3)]), keys(12), decoding, stop_ids=[2])
    assert shared.tokens_BT.tolist() == repeated.tokens_BT.tolist()
    assert len({tuple(row) for row in shared.tokens_BT[:3].tolist()}) > 1


def test_stops_and_truncation() -> None:
    model = small_model(spread=0.5)  # Nearly uniform: some rows stop early, some do not.
    stops = list(range(2, 12))
    found = decode(model, padded(PROMPTS[:1] * 1), keys(40), Decoding(1.0, most=6), stop_ids=stops)
    assert 0 < int(found.stopped_B.sum()) < 40
    for tokens, length, stopped in zip(
        found.tokens_BT.tolist(), found.lengths_B.tolist(), found.stopped_B.tolist(), strict=True
    ):
        assert not any(token in stops for token in tokens[: length - 1])
        assert (tokens[length - 1] in stops) == stopped
        assert stopped or length == 6
        assert tokens[length:] == [0] * (len(tokens) - length)


def test_ends_when_all_rows_have_stopped() -> None:
    model, calls = small_model(), []
    forward = model.forward
    model.forward = lambda *args, **kwargs: calls.append(1) or forward(*args, **kwargs)
    found = decode(model, padded(PROMPTS), keys(4), Decoding(1.0, most=50), stop_ids=list(range(VOCABULARY)))
    assert found.tokens_BT.shape == (4, 1)
    assert len(calls) == 1  # the prefill; every row stopped at its first token


def test_samples_follow_the_models_distribution() -> None:
    model = small_model(spread=2.0)
    found = decode(model, padded([PROMPTS[0]]), keys(20_000), Decoding(1.0, most=1), stop_ids=[2])
    expected_V = model(torch.tensor([PROMPTS[0]])).logits[0, -1].softmax(dim=-1).detach()
    counts_V = torch.bincount(found.tokens_BT[:, 0], minlength=VOCABULARY).float()
    large = expected_V * 20_000 >= 5
    statistic = float(((counts_V - expected_V * 20_000) ** 2 / (expected_V * 20_000))[large].sum())
    # χ²: mean ν, standard deviation √(2ν); four of them are beyond chance.
    freedom = int(large.sum())
    assert statistic < freedom + 4 * (2 * freedom) ** 0.5


def test_under_autocast_log_probs_are_those_of_a_forward_pass_under_autocast() -> None:
    model = small_model(spread=2.0)
    with torch.autocast("cpu", torch.bfloat16):
        found = decode(model, padded(PROMPTS), keys(4), Decoding(1.0, most=8), stop_ids=[2])
        for row, prompt in enumerate(PROMPTS):
            tokens = found.tokens_BT[row, : int(found.lengths_B[row])]
            logits_LV = model(torch.tensor([prompt + tokens.tolist()])).logits[0].detach().float()
            log_probs_TV = logits_LV[len(prompt) - 1 : -1].log_softmax(dim=-1)
            expected_T = log_probs_TV.gather(1, tokens.unsqueeze(1)).squeeze(1)
            # bfloat16 has eight bits of mantissa: sums in another order differ in the second decimal.
            torch.testing.assert_close(found.log_probs_BT[row, : len(tokens)], expected_T, rtol=0, atol=0.1)


def test_models_that_are_pooled_choose_by_the_product_of_their_distributions() -> None:
    """Against a plain forward pass of each over the whole sequence; the last four words are padding."""
    models = [small_model(), small_model("qwen2", spread=5.0)]
    together = Pooled(models, [0.7, 0.3], VOCABULARY - 4)
    prompts = padded(PROMPTS)
    found = decode(together, prompts, keys(8), Decoding(1.0, most=6), stop_ids=[2])
    for row in range(8):
        prompt, length = PROMPTS[row // 2], int(found.lengths_B[row])
        ids = torch.tensor([prompt + found.tokens_BT[row, :length].tolist()])
        with torch.no_grad():
            each = [
                model(ids).logits[0, len(prompt) - 1 : -1, : VOCABULARY - 4].double().log_softmax(-1)
                for model in models
            ]
        expected = (0.7 * each[0] + 0.3 * each[1]).log_softmax(-1).gather(1, ids[0, len(prompt) :].unsqueeze(1))
        torch.testing.assert_close(found.log_probs_BT[row, :length], expected[:, 0].float(), rtol=1e-4, atol=1e-4)


def test_a_single_model_is_not_changed_by_being_pooled() -> None:
    model, prompts = small_model(), padded(PROMPTS)
    alone = decode(model, prompts, keys(4), Decoding(1.0, most=6), stop_ids=[2])
    pooled = decode(Pooled([model], [1.0], VOCABULARY), prompts, keys(4), Decoding(1.0, most=6), stop_ids=[2])
    assert pooled.tokens_BT.equal(alone.tokens_BT)
    assert pooled.log_probs_BT.equal(alone.log_probs_BT)
