"""Weights that are cast once: the numbers are those of autocast, and the model is left as it was."""

from typing import Any

import pytest
import torch
from small_models import random_llama
from torch import Tensor

from thicket.models import products
from thicket.models.products import cast_once, cast_together

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


def slopes(model: torch.nn.Module, together: bool, passes: int = 1) -> dict[str, Tensor | None]:
    model.zero_grad()
    with torch.autocast("cpu", torch.bfloat16, cache_enabled=False):
        loss = torch.zeros(())
        for place in range(passes):
            if together:
                with cast_together(model):
                    made = model(IDS + place).logits
            else:
                made = model(IDS + place).logits
            loss = loss + made.float().square().mean()
    loss.backward()
    return {name: weight.grad for name, weight in model.named_parameters()}


@pytest.mark.parametrize("passes", [1, 2])
@pytest.mark.parametrize("count", [1, 4, 16, 100])
def test_gradients_are_autocasts_own(count: int, passes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "TOGETHER", count)
    model = random_llama(num_hidden_layers=2)
    before = dict(model.named_parameters())
    expected, found = (slopes(model, together, passes) for together in (False, True))
    assert all(dict(model.named_parameters())[name] is weight for name, weight in before.items())
    for name, own in expected.items():
        mine = found[name]
        assert own is not None
        assert mine is not None
        assert mine.dtype == own.dtype
        assert mine.equal(own), name


def test_frozen_weights_have_no_gradients() -> None:
    model: Any = random_llama(num_hidden_layers=2)
    for name, weight in model.named_parameters():
        weight.requires_grad_("v_proj" in name or "norm" in name)
    seen: list[bool] = []
    model.model.layers[0].mlp.up_proj.register_forward_hook(
        lambda module, given, made: seen.append(module.weight.requires_grad)
    )
    expected, found = (slopes(model, together) for together in (False, True))
    assert seen == [False, False]
    for name, own in expected.items():
        mine = found[name]
        assert (own is None) == (mine is None) == ("v_proj" not in name and "norm" not in name)
        assert own is None or mine is None or mine.equal(own)


def test_without_gradients_or_autocast_nothing_is_cast_together() -> None:
    model = random_llama()
    weight = model.lm_head.weight
    with cast_together(model):
        assert model.lm_head.weight is weight
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16), cast_together(model):
        assert model.lm_head.weight is weight
