"""Models with fresh weights."""

import torch

from thicket.config.base import Architecture
from thicket.models.characters import character_tokenizer
from thicket.models.scratch import fresh_llama

SHAPE = Architecture(layers=2, width=16, heads=2, mlp_width=24, context=48)


def test_shape():
    model = fresh_llama(SHAPE, character_tokenizer(), seed=0)
    # 44·16 embeddings; twice 4·16² attention, 3·16·24 MLP and 2·16 norms; 16 of the last norm
    assert model.num_parameters() == 704 + 2 * (1024 + 1152 + 32) + 16
    assert model.config.max_position_embeddings == 48
    assert (model.config.bos_token_id, model.config.eos_token_id, model.config.pad_token_id) == (1, 2, 0)
    assert model.dtype == torch.float32
    untied = fresh_llama(SHAPE.model_copy(update={"tied": False}), character_tokenizer(), seed=0)
    assert untied.num_parameters() == model.num_parameters() + 704


def test_the_seed_and_nothing_else_fixes_the_weights():
    tokenizer, before = character_tokenizer(), torch.get_rng_state()
    first = fresh_llama(SHAPE, tokenizer, seed=3).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(5)
    again, other = (
        fresh_llama(SHAPE, tokenizer, seed=3).state_dict(),
        fresh_llama(SHAPE, tokenizer, seed=4).state_dict(),
    )
    assert all(torch.equal(tensor, again[key]) for key, tensor in first.items())
    assert not torch.equal(first["model.embed_tokens.weight"], other["model.embed_tokens.weight"])
