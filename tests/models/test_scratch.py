"""Models with fresh weights."""

from pathlib import Path

import torch

from thicket.config.base import Architecture
from thicket.models.characters import character_tokenizer
from thicket.models.folder import load_model, save_model
from thicket.models.scratch import fresh_model
from thicket.models.size import active_parameters
from thicket.plan.shapes import fresh_shape, saved_shape

SHAPE = Architecture(layers=2, width=16, heads=2, mlp_width=24, context=48)


def test_shape():
    model = fresh_model(SHAPE, character_tokenizer(), seed=0)
    # 44·16 embeddings; twice 4·16² attention, 3·16·24 MLP and 2·16 norms; 16 of the last norm
    assert model.num_parameters() == 704 + 2 * (1024 + 1152 + 32) + 16
    assert model.config.max_position_embeddings == 48
    assert (model.config.bos_token_id, model.config.eos_token_id, model.config.pad_token_id) == (1, 2, 0)
    assert model.dtype == torch.float32
    untied = fresh_model(SHAPE.model_copy(update={"tied": False}), character_tokenizer(), seed=0)
    assert untied.num_parameters() == model.num_parameters() + 704


def test_the_seed_and_nothing_else_fixes_the_weights():
    tokenizer, before = character_tokenizer(), torch.get_rng_state()
    first = fresh_model(SHAPE, tokenizer, seed=3).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(5)
    again, other = (
        fresh_model(SHAPE, tokenizer, seed=3).state_dict(),
        fresh_model(SHAPE, tokenizer, seed=4).state_dict(),
    )
    assert all(torch.equal(tensor, again[key]) for key, tensor in first.items())
    assert not torch.equal(first["model.embed_tokens.weight"], other["model.embed_tokens.weight"])


def test_a_mixture_of_experts():
    shape = SHAPE.model_copy(update={"experts": 4, "active": 2})
    model = fresh_model(shape, character_tokenizer(), seed=0)
    # Four experts in place of one MLP, a router of 16·4, and norms of 8 over each head's queries and keys.
    assert model.num_parameters() == 704 + 2 * (1024 + 4 * 1152 + 64 + 16 + 32) + 16
    assert active_parameters(model) == model.num_parameters() - 2 * 2 * 1152
    found = fresh_shape(shape)
    assert (found.parameters, found.active) == (model.num_parameters(), active_parameters(model))


def test_a_mixture_survives_its_folder(tmp_path: Path):
    tokenizer = character_tokenizer()
    model = fresh_model(SHAPE.model_copy(update={"experts": 4}), tokenizer, seed=0)
    save_model(model, tokenizer, tmp_path / "moe")
    again = load_model(tmp_path / "moe").state_dict()
    assert all(torch.equal(tensor, again[key]) for key, tensor in model.state_dict().items())
    shape = saved_shape(tmp_path / "moe")
    assert shape is not None
    assert shape.active == active_parameters(model)
