"""A model in two halves gives the logits of the whole."""

from typing import Any

import pytest
import torch
from small_models import SIZES
from transformers import (
    CohereConfig,
    CohereForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    GraniteConfig,
    GraniteForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
)

from thicket.config.on_policy import Lora
from thicket.models.head import head_logits, hidden_states
from thicket.models.lora import adapt
from thicket.sampling.reading import trained_hidden
from thicket.sampling.rollouts import sequences

SMALL: dict[str, Any] = {**SIZES, "head_dim": 8, "pad_token_id": 0}
FAMILIES = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SMALL)),
    "soft cap": lambda: Gemma2ForCausalLM(Gemma2Config(**SMALL, final_logit_softcapping=0.05)),
    "divided": lambda: GraniteForCausalLM(GraniteConfig(**SMALL, logits_scaling=7.0)),
    "multiplied": lambda: CohereForCausalLM(CohereConfig(**SMALL, logit_scale=0.3)),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_halves_give_what_the_whole_gives(family: str) -> None:
    torch.manual_seed(0)
    model = FAMILIES[family]().eval()
    ids = torch.tensor([[3, 5, 7, 9]])
    expected = model(input_ids=ids).logits[0]
    torch.testing.assert_close(head_logits(model, hidden_states(model, ids)[0]), expected, rtol=1e-5, atol=1e-7)


def test_a_model_with_adapters() -> None:
    torch.manual_seed(0)
    model = adapt(FAMILIES["llama"](), Lora(rank=2), seed=0).eval()
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data.add_(0.1)
    ids = torch.tensor([[3, 5, 7, 9]])
    torch.testing.assert_close(head_logits(model, hidden_states(model, ids)[0]), model(input_ids=ids).logits[0])


def test_picked_positions_have_the_states_that_they_have_among_all() -> None:
    torch.manual_seed(0)
    model = FAMILIES["llama"]().eval()
    batch = sequences([[3, 4], [5], [6, 7, 8]], [[9, 10, 11], [12], [13, 14]], "cpu")
    chosen_BK = torch.zeros_like(batch.mask_BK)
    chosen_BK[0, 2] = chosen_BK[2, 2] = chosen_BK[2, 3] = 1.0
    chosen_BK *= batch.mask_BK
    picked = batch.picked(chosen_BK)
    assert picked.targets_BK.tolist() == [batch.targets_BK[chosen_BK > 0].tolist()]
    torch.testing.assert_close(trained_hidden(model, picked)[0], trained_hidden(model, batch)[chosen_BK > 0])
