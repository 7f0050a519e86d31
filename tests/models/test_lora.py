"""Adapters: where they go, what they leave, and messages about layers that are not there."""

import pytest
import torch

from thicket.config.base import Architecture
from thicket.config.on_policy import Lora
from thicket.models.characters import character_tokenizer
from thicket.models.lora import adapt, merged
from thicket.models.scratch import fresh_model

SHAPE = Architecture(layers=1, width=16, heads=2, mlp_width=24, context=48)
IDS = torch.tensor([[3, 5, 7, 9]])


def model(experts: int = 0):
    return fresh_model(SHAPE.model_copy(update={"experts": experts}), character_tokenizer(), seed=0).eval()


@pytest.mark.parametrize("experts", [0, 4])
def test_fresh_adapters_change_nothing_and_merged_ones_stay(experts: int) -> None:
    plain = model(experts)(input_ids=IDS).logits
    adapted = adapt(model(experts), Lora(rank=2), seed=0)
    torch.testing.assert_close(adapted(input_ids=IDS).logits, plain)
    for parameter in adapted.parameters():
        if parameter.requires_grad:
            parameter.data.add_(0.05)
    moved = adapted(input_ids=IDS).logits
    assert not moved.equal(plain)
    whole = merged(adapted)
    torch.testing.assert_close(whole(input_ids=IDS).logits, moved)
    assert set(whole.state_dict()) == set(model(experts).state_dict())


def test_the_seed_draws_the_adapters() -> None:
    first, again, other = (adapt(model(), Lora(rank=2), seed).state_dict() for seed in (0, 0, 1))
    names = [name for name in first if "lora_A" in name]
    assert names
    assert all(first[name].equal(again[name]) for name in names)
    assert not any(first[name].equal(other[name]) for name in names)


def test_a_layer_that_is_not_there() -> None:
    with pytest.raises(
        ValueError, match=r"method\.lora\.targets = q_porj: .*allowed: all-linear, .*did you mean: q_proj"
    ):
        adapt(model(), Lora(targets=["q_porj"]), seed=0)


def test_dropout_on_stacked_experts() -> None:
    with pytest.raises(ValueError, match=r"method\.lora\.dropout: it has to be 0 on a mixture"):
        adapt(model(4), Lora(dropout=0.1), seed=0)


def test_the_head_has_no_adapter() -> None:
    with pytest.raises(ValueError, match=r"method\.lora\.targets: the head can't be adapted"):
        adapt(model(), Lora(targets=["q_proj", "lm_head"]), seed=0)
