"""Decoders with random weights, small enough for any test."""

from typing import Any

import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from thicket.sampling.rollouts import Sequences

SIZES: dict[str, Any] = {
    "vocab_size": 20,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
}
"""In the words that the configurations of most families share."""


def random_llama(seed: int = 0, spread: float = 1.0, **sizes: Any) -> LlamaForCausalLM:
    """A model whose weights the seed draws. `sizes` are laid over `SIZES`.

    spread: factor on the head's weights; with a large one logits lie apart, so that no two tokens are near a tie.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(LlamaConfig(**{**SIZES, **sizes})).eval()
    model.lm_head.weight.data.mul_(spread)
    return model


def plain_logits(model: Any, batch: Sequences) -> Tensor:
    """Logits at the trained positions, logits_BKV, by a forward pass of the whole model over whole rows."""
    return model(input_ids=batch.ids_BL, use_cache=False).logits[:, batch.positions_K]
