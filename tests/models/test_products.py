"""Weights that are cast once: the numbers are those of autocast, and the model is left as it was."""

import torch
from small_models import random_llama

from thicket.models.products import cast_once

IDS = torch.arange(8)[None]


def test_the_numbers_are_autocasts_own() -> None:
    model = random_llama(num_hidden_layers=2)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, cache_enabled=False):
        expected = model(IDS).logits
        with cast_once([model]):
            assert model.lm_head.weight.dtype == torch.bfloat16
            assert model.model.embed_tokens.weight.dtype == torch.float32
            assert model(IDS).logits.equal(expected)


def test_the_model_is_left_as_it_was_and_its_weights_are_read_anew_each_time() -> None:
    model = random_llama()
    before = dict(model.named_parameters())
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, cache_enabled=False):
        with cast_once([model]):
            place = model.lm_head.weight.data_ptr()
        after = dict(model.named_parameters())
        assert after.keys() == before.keys()
        assert all(after[name] is before[name] for name in before)
        model.lm_head.weight.mul_(2)
        expected = model(IDS).logits
        with cast_once([model]):
            assert model.lm_head.weight.data_ptr() == place
            assert model(IDS).logits.equal(expected)


def test_without_autocast_nothing_is_cast() -> None:
    model = random_llama()
    weight = model.lm_head.weight
    with cast_once([model]):
        assert model.lm_head.weight is weight
