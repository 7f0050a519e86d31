"""A model with fresh weights: Llama's architecture, or Qwen3's mixture of experts."""

from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel, Qwen3MoeConfig, Qwen3MoeForCausalLM

from thicket.config.base import Architecture
from thicket.sampling.prompts import Tokenizer


def fresh_model(architecture: Architecture, tokenizer: Tokenizer, seed: int) -> PreTrainedModel:
    """A model whose weights are drawn with the seed, in float32."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if architecture.experts:
            return Qwen3MoeForCausalLM(_mixture(architecture, tokenizer))
        return LlamaForCausalLM(LlamaConfig(**_common(architecture, tokenizer)))


def _common(architecture: Architecture, tokenizer: Tokenizer) -> dict[str, Any]:
    return {
        "vocab_size": len(tokenizer),
        "hidden_size": architecture.width,
        "intermediate_size": architecture.mlp_width,
        "num_hidden_layers": architecture.layers,
        "num_attention_heads": architecture.heads,
        "max_position_embeddings": architecture.context,
        "tie_word_embeddings": architecture.tied,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }


def _mixture(architecture: Architecture, tokenizer: Tokenizer) -> Qwen3MoeConfig:
    """Every layer is a mixture; `mlp_width` is that of one expert."""
    # A dictionary, since the class does not declare all that it takes.
    values: dict[str, Any] = {"head_dim": architecture.width // architecture.heads}
    return Qwen3MoeConfig(
        **_common(architecture, tokenizer),
        **values,
        num_key_value_heads=architecture.heads,
        num_experts=architecture.experts,
        num_experts_per_tok=architecture.active,
        moe_intermediate_size=architecture.mlp_width,
        norm_topk_prob=True,
    )
