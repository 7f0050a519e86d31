"""Weights of the engine: those of the model that is asked, handed over when they have changed and never else."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from fake_vllm import TOKENIZER, Engines, installed
from small_models import SIZES, random_llama
from torch import nn
from transformers import Qwen2MoeConfig, Qwen2MoeForCausalLM

from thicket.config.on_policy import Lora
from thicket.config.optimizer import Optimizer
from thicket.config.run import VllmSampling
from thicket.models.fingerprint import fingerprint
from thicket.models.lora import adapt
from thicket.models.perturb import Direction, Neighbourhood
from thicket.sampling.vllm_engine import Engine, as_in_files
from thicket.training.optimizer import adamw

IDS = torch.tensor([[1, 5, 6, 7]])


@pytest.fixture
def engines() -> Iterator[Engines]:
    with installed() as made:
        yield made


def engine() -> Engine:
    return Engine(VllmSampling(type="vllm"))


def model(seed: int = 0, **sizes: Any) -> Any:
    return random_llama(seed, vocab_size=len(TOKENIZER), **sizes)


def mixture(seed: int = 0) -> Any:
    """Experts lie in one tensor in memory, and each in its own in files."""
    torch.manual_seed(seed)
    sizes = {**SIZES, "moe_intermediate_size": 8, "shared_expert_intermediate_size": 8, "num_experts": 4}
    return Qwen2MoeForCausalLM(Qwen2MoeConfig(**sizes, num_experts_per_tok=2)).eval()


def step(policy: Any) -> None:
    """One of an optimizer."""
    optimizer = adamw([policy], Optimizer(lr=0.1))
    policy(IDS).logits.square().sum().backward()
    optimizer.step()
    optimizer.zero_grad()


def same(policy: nn.Module, held: nn.Module) -> bool:
    """Whether two models answer alike."""
    with torch.no_grad():
        return torch.allclose(policy.eval()(IDS).logits, held.eval()(IDS).logits, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("make", [model, lambda: model(tie_word_embeddings=True), mixture])
def test_the_engine_has_the_models_weights(engines: Engines, make: Any) -> None:
    policy, mine = make(), engine()
    mine.of(policy)
    assert same(policy, engines.only.model)
    step(policy)
    assert not same(policy, engines.only.model)
    mine.of(policy)
    assert same(policy, engines.only.model)


def test_they_are_handed_over_when_they_have_changed_and_never_else(engines: Engines) -> None:
    policy, mine = model(), engine()

    def synced() -> int:
        before = engines.only.resets if engines.started else 0
        mine.of(policy)
        assert engines.only.resets == before + 1, "what was read before is forgotten, whatever the weights"
        assert same(policy, engines.only.model)
        return engines.only.synced

    assert [synced(), synced()] == [1, 1]
    policy.train()
    policy(IDS).logits.sum().backward()
    policy.eval()
    assert synced() == 1, "gradients are no change"
    step(policy)
    assert [synced(), synced()] == [2, 2]
    neighbourhood = Neighbourhood(policy)
    with neighbourhood.at(Direction(1, 0.3)):
        assert [synced(), synced()] == [3, 3]
    assert [synced(), synced()] == [4, 4], "the model is what it was"
    policy.load_state_dict(model(3).state_dict())
    assert [synced(), synced()] == [5, 5]
    policy.load_state_dict(model(3).state_dict())
    assert synced() == 5, "other tensors with the same numbers"
    policy.lm_head.weight = nn.Parameter(policy.lm_head.weight.detach() * 2)
    assert [synced(), synced()] == [6, 6]


def test_the_last_bit_counts() -> None:
    for kind in (torch.float32, torch.bfloat16, torch.float64):
        policy = model().to(kind)
        before = fingerprint(policy)
        one = policy.lm_head.weight.detach().view(-1)[3:4]
        one.copy_(torch.nextafter(one, torch.full_like(one, 9.0)))
        assert fingerprint(policy) != before


def test_models_take_turns(engines: Engines) -> None:
    first, second, mine = model(0), model(1), engine()
    for policy in (first, second, second, first):
        mine.of(policy)
        assert same(policy, engines.only.model)
    assert engines.only.synced == 3


@pytest.mark.parametrize("make", [model, mixture])
def test_adapters_are_added_in_and_the_model_stays_as_it_is(engines: Engines, make: Any) -> None:
    start = make()
    policy: Any = adapt(start, Lora(rank=2, alpha=8.0), seed=0)
    mine, frozen = engine(), {name: one.clone() for name, one in start.state_dict().items() if "lora" not in name}
    for count in (1, 2):
        mine.of(policy)
        assert engines.only.synced == count
        assert same(policy, engines.only.model)
        step(policy)
    assert all(one.equal(frozen[name]) for name, one in start.state_dict().items() if name in frozen)
    assert set(as_in_files(policy)) == set(as_in_files(make())), "the names of a model without adapters"


def test_other_adapters_are_other_weights(engines: Engines) -> None:
    policy: Any = adapt(model(), Lora(rank=2), seed=0)
    step(policy)
    policy.add_adapter("other", policy.peft_config["default"])
    mine = engine()
    mine.of(policy)
    policy.set_adapter("other")
    mine.of(policy)
    assert engines.only.synced == 2
    assert same(policy, engines.only.model)


def test_another_architecture_needs_another_sampler(engines: Engines) -> None:
    mine = engine()
    mine.of(model())
    for other in (model(hidden_size=32), model(rope_parameters={"rope_type": "default", "rope_theta": 5.0})):
        with pytest.raises(ValueError, match="models of two architectures answer in this process"):
            mine.of(other)
    mine.of(model(1, eos_token_id=3))


def test_after_a_failed_handover_there_is_another(engines: Engines, monkeypatch: pytest.MonkeyPatch) -> None:
    policy, mine = model(), engine()
    mine.of(policy)
    step(policy)

    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(engines.only, "collective_rpc", fail)
        with pytest.raises(MemoryError):
            mine.of(policy)
    mine.of(policy)
    assert same(policy, engines.only.model)
