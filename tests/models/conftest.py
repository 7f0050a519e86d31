"""Models of toy sizes, and a GGUF file written by the reference implementation's own writer."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from gguf import GGMLQuantizationType, GGUFWriter, TokenType, quants
from small_models import random_llama
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.convert_slow_tokenizer import bytes_to_unicode

from thicket.config.base import Architecture
from thicket.models.characters import character_tokenizer
from thicket.models.folder import save_model
from thicket.models.scratch import fresh_model

TOY = Architecture(layers=1, width=16, heads=2, mlp_width=24, context=64)
CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
MERGES = ["Ġ Ġ", "Ċ Ċ", "h i"]
TEMPLATE = "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"


@pytest.fixture
def toy_folder(tmp_path: Path) -> Path:
    """A saved model with a character tokenizer."""
    tokenizer = character_tokenizer()
    save_model(fresh_model(TOY, tokenizer, seed=0), tokenizer, tmp_path / "toy")
    return tmp_path / "toy"


@pytest.fixture
def gguf_model() -> LlamaForCausalLM:
    """The model that `write_gguf` writes: grouped-query attention, tied embeddings, any values."""
    return random_llama(
        vocab_size=len(CONTROL) + 256 + len(MERGES),
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=128,
        rope_parameters={"rope_type": "default", "rope_theta": 5000.0},
        tie_word_embeddings=True,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=2,
    )


WriteGguf = Callable[..., Path]


@pytest.fixture
def write_gguf(gguf_model: LlamaForCausalLM, tmp_path: Path) -> WriteGguf:
    """Writes `gguf_model` with a byte-level tokenizer as a GGUF file, matrices in float32 or blocks of 8 bits."""

    def write(name: str = "toy.gguf", pre: str = "smollm", blocks: bool = False) -> Path:
        path = tmp_path / name
        writer = GGUFWriter(path, "llama")
        _write_config(writer, gguf_model.config)
        _write_tokenizer(writer, pre)
        for key, tensor in gguf_model.state_dict().items():
            if key != "lm_head.weight":  # tied
                _write_tensor(writer, key, tensor.numpy(), gguf_model.config, blocks)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path

    return write


def _write_config(writer: GGUFWriter, config: LlamaConfig) -> None:
    writer.add_name("toy")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads or 0)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])  # type: ignore[index]
    writer.add_rope_dimension_count(config.hidden_size // config.num_attention_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)


def _write_tokenizer(writer: GGUFWriter, pre: str) -> None:
    alphabet = list(bytes_to_unicode().values())
    tokens = [*CONTROL, *alphabet, *(merge.replace(" ", "") for merge in MERGES)]
    kinds = [TokenType.CONTROL] * len(CONTROL) + [TokenType.NORMAL] * (len(tokens) - len(CONTROL))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(MERGES)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_add_bos_token(False)
    writer.add_chat_template(TEMPLATE)


NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "model.layers": "blk",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}


def _write_tensor(writer: GGUFWriter, key: str, values: np.ndarray, config: LlamaConfig, blocks: bool) -> None:
    for own, other in NAMES.items():
        key = key.replace(own, other)
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads or 0}
    for part, count in heads.items():
        if f".{part}." in key:
            # llama.cpp turns neighbouring pairs of a head's rows, transformers its two halves.
            values = values.reshape(count, 2, -1, values.shape[1]).swapaxes(1, 2).reshape(values.shape)
    if blocks and values.ndim == 2:
        kind = GGMLQuantizationType.Q8_0
        writer.add_tensor(key, quants.quantize(values, kind), raw_dtype=kind)
    else:
        writer.add_tensor(key, values)
