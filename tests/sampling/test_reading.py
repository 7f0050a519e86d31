"""Prompts that are read once for all of their responses: the logits and gradients of a plain forward pass."""

from typing import Any

import pytest
import torch
from small_models import SIZES, plain_logits
from torch import Tensor
from transformers import (
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPT2LMHeadModel,
    Lfm2Config,
    Lfm2ForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen3MoeConfig,
    Qwen3MoeForCausalLM,
)

from thicket.config.on_policy import Lora
from thicket.models.lora import adapt
from thicket.sampling.reading import _for_rows, all_log_probs, target_log_probs, trained_hidden
from thicket.sampling.rollouts import Sequences, sequences

SMALL: dict[str, Any] = {**SIZES, "head_dim": 8, "num_hidden_layers": 2, "pad_token_id": 0}
EXPERTS: dict[str, Any] = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 12}
SLIDING: dict[str, Any] = {"sliding_window": 3, "layer_types": ["sliding_attention", "full_attention"]}
FAMILIES = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SMALL)),
    "a window shorter than the prompts": lambda: Gemma3ForCausalLM(Gemma3TextConfig(**SMALL, **SLIDING)),
    "experts": lambda: Qwen3MoeForCausalLM(Qwen3MoeConfig(**SMALL, **EXPERTS)),
    "states": lambda: Lfm2ForCausalLM(Lfm2Config(**SMALL, layer_types=["conv", "full_attention"])),
    "adapters": lambda: adapt(LlamaForCausalLM(LlamaConfig(**SMALL)), Lora(rank=2), seed=0),
}
PROMPTS = [[3, 4, 5, 6, 7]] * 3 + [[3, 4, 5, 6, 7, 8, 9, 10]] * 2
RESPONSES = [[11, 12, 13], [14], [15, 16, 17, 18], [11, 12], [19]]


def model_of(family: str) -> Any:
    torch.manual_seed(0)
    model = FAMILIES[family]().eval()
    for parameter in model.parameters():
        parameter.data.add_(0.02 * torch.randn_like(parameter))  # adapters begin at nothing
    return model


def gradients(model: Any, log_probs_BK: Tensor, batch: Sequences) -> list[Tensor]:
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    weights_BK = batch.mask_BK * torch.arange(batch.mask_BK.numel()).view(batch.mask_BK.shape)
    return list(torch.autograd.grad((log_probs_BK * weights_BK).sum(), trained))


def check(model: Any, batch: Sequences) -> None:
    plain_BKV, inside_BK = (plain_logits(model, batch) / 0.7).log_softmax(dim=-1), batch.mask_BK > 0
    plain_BK = plain_BKV.gather(-1, batch.targets_BK.unsqueeze(-1)).squeeze(-1) * batch.mask_BK
    hidden_BKH = trained_hidden(model, batch)
    all_BKV = all_log_probs(model, hidden_BKH, 0.7)
    torch.testing.assert_close(all_BKV[inside_BK], plain_BKV[inside_BK], rtol=1e-5, atol=1e-5)
    found_BK, entropy_BK = target_log_probs(model, hidden_BKH, batch, 0.7)
    torch.testing.assert_close(found_BK, plain_BK, rtol=1e-5, atol=1e-5)
    entropies_BK = -(plain_BKV.exp() * plain_BKV).sum(dim=-1) * batch.mask_BK
    torch.testing.assert_close(entropy_BK, entropies_BK, rtol=1e-5, atol=1e-5)
    expected = gradients(model, plain_BK, batch)
    for found, wanted in zip(gradients(model, found_BK, batch), expected, strict=True):
        # As wholes: an element that is nearly 0 is what rounding leaves of a sum.
        assert float((found - wanted).norm()) < 1e-5 * float(wanted.norm())


@pytest.mark.parametrize("family", FAMILIES)
def test_as_if_every_row_were_read_alone(family: str) -> None:
    check(model_of(family), sequences(PROMPTS, RESPONSES, "cpu"))


def test_positions_end_where_the_longest_row_does() -> None:
    """A long prompt with a short response beside a short one with a long response; there are ten positions."""
    model: Any = GPT2LMHeadModel(GPT2Config(vocab_size=20, n_embd=16, n_layer=2, n_head=2, n_positions=10)).eval()
    prompts = [[3, 4, 5, 6, 7, 8, 9, 10]] * 8 + [[3, 4]] * 8
    batch = sequences(prompts, [[11, 12]] * 8 + [[11, 12, 13, 14, 15, 16, 17, 18]] * 8, "cpu")
    assert read(model, batch) < batch.ids_BL.numel()
    check(model, batch)


def test_rows_that_are_left_out_of_the_loss() -> None:
    batch = sequences(PROMPTS, RESPONSES, "cpu")
    for row in (1, 4):
        batch.mask_BK[row] = 0
    check(model_of("llama"), batch)


def test_some_of_the_rows() -> None:
    batch = sequences(PROMPTS, RESPONSES, "cpu")
    for rows in ([3, 4], [0, 1, 2], [1, 0, 4, 3]):
        check(model_of("llama"), batch.rows(torch.tensor(rows)))


def read(model: Any, batch: Sequences) -> int:
    """Tokens that the trunk reads."""
    count = 0

    def note(module: Any, given: tuple[Tensor]) -> None:
        nonlocal count
        count += given[0].numel()

    with model.get_input_embeddings().register_forward_pre_hook(note):
        trained_hidden(model, batch)
    return count


def test_what_is_read() -> None:
    model = model_of("llama")
    # Two prompts, padded to eight tokens; beyond them five rows of four, without the last token.
    assert read(model, sequences(PROMPTS, [[9, 10, 11, 12, 13]] * 5, "cpu")) == 2 * 8 + 5 * 4
    # Responses of one token want no second pass.
    assert read(model, sequences(PROMPTS, [[9]] * 5, "cpu")) == 2 * 8


def test_a_window_over_prompts_of_one_length_and_of_several() -> None:
    """Those of several lengths are read as they are: a window would count the places between them and a response."""
    model = model_of("a window shorter than the prompts")
    alike = sequences([[3, 4, 5, 6, 7]] * 3 + [[3, 4, 5, 6, 8]] * 2, RESPONSES, "cpu")
    check(model, alike)
    assert read(model, alike) == 2 * 5 + 5 * 3
    several = sequences(PROMPTS, RESPONSES, "cpu")
    assert read(model, several) == several.ids_BL.numel()


def test_a_prompts_gradient_is_summed_in_the_order_of_its_rows() -> None:
    """To the bit, with two threads, the border between whose halves lies within a prompt's rows."""
    row_B = torch.arange(9).repeat_interleave(7)
    slope = torch.randn(63, 4, 24, 32, generator=torch.Generator().manual_seed(0))
    expected = torch.zeros(9, 4, 24, 32)
    for row, prompt in enumerate(row_B.tolist()):
        expected[prompt] += slope[row]
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        for _ in range(20):
            of_prompts = torch.zeros(9, 4, 24, 32, requires_grad=True)
            _for_rows(of_prompts, row_B).backward(slope)
            assert of_prompts.grad is not None
            assert of_prompts.grad.equal(expected)
    finally:
        torch.set_num_threads(before)


def test_rows_with_little_in_common_are_read_as_they_are() -> None:
    model = model_of("llama")
    apart = sequences([[3, 4, place] for place in range(5, 10)], [[9] * 20] * 5, "cpu")
    assert read(model, apart) == apart.ids_BL.numel()
    long = sequences([[3]] * 3, [[9] * 40] * 3, "cpu")
    assert read(model, long) == long.ids_BL.numel()
