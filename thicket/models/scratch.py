"""A Llama-architecture model with fresh weights."""

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from thicket.config.base import Architecture
from thicket.sampling.prompts import Tokenizer


def fresh_llama(architecture: Architecture, tokenizer: Tokenizer, seed: int) -> LlamaForCausalLM:
    """A model whose weights are drawn with the seed, in float32."""
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=architecture.width,
        intermediate_size=architecture.mlp_width,
        num_hidden_layers=architecture.layers,
        num_attention_heads=architecture.heads,
        max_position_embeddings=architecture.context,
        tie_word_embeddings=architecture.tied,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LlamaForCausalLM(config)
