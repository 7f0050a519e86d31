"""What the methods say of a batch: losses, weights and advantages against naive float64 sums over loops."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from thicket.config.base import Optimizer
from thicket.config.method import Grpo as GrpoConfig
from thicket.config.method import Opd as OpdConfig
from thicket.config.stages import Teacher
from thicket.methods.grpo import Grpo
from thicket.methods.method import Rows
from thicket.methods.mixed import Mixed
from thicket.methods.opd import Opd
from thicket.sampling.rollouts import logits_of, sequences

PROMPTS = [[5, 6, 7], [5, 6, 7], [8], [8]]
RESPONSES = [[9, 10, 2], [11, 2], [12, 13, 14, 15], [2]]
REWARDS = [1.0, 0.0, 0.25, 0.75]
DOMAINS = ["sort", "sort", "reverse", "reverse"]


def random_model(seed: int) -> PreTrainedModel:
    torch.manual_seed(seed)
    shape = LlamaConfig(
        vocab_size=20,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=32,
    )
    model = LlamaForCausalLM(shape).eval().requires_grad_(False).double()
    model.lm_head.weight.mul_(20)
    return model


def grpo_config(**values: Any) -> GrpoConfig:
    return GrpoConfig(
        **{"type": "grpo", "prompts": 2, "group": 2, "optimizer": Optimizer(lr=1e-3), "steps": 1, **values}
    )


def opd_config() -> OpdConfig:
    return OpdConfig(type="opd", prompts=4, group=1, optimizer=Optimizer(lr=1e-3), steps=1)


def rows_of(advantages_B: Tensor, old_BK: Tensor | None = None) -> Rows:
    batch = sequences(PROMPTS, RESPONSES, "cpu")
    return Rows(batch, DOMAINS, torch.tensor(REWARDS), advantages_B, old_BK)


def distributions(model: PreTrainedModel, row: int, temperature: float = 1.0) -> list[list[float]]:
    """Next-token log-probabilities at each token of a response, from a forward pass over that row alone."""
    ids = torch.tensor([PROMPTS[row] + RESPONSES[row]])
    logits_LV = model(ids).logits[0].double() / temperature
    first = len(PROMPTS[row]) - 1
    return logits_LV.log_softmax(dim=-1)[first : first + len(RESPONSES[row])].tolist()


def total(method: Any, rows: Rows, model: PreTrainedModel) -> float:
    token = method.token_loss(logits_of(model, rows.sequences), rows)
    return float((token.loss_BK * method.weights(rows.sequences.mask_BK)).sum())


def old_log_probs(model: PreTrainedModel, temperature: float) -> Tensor:
    batch = sequences(PROMPTS, RESPONSES, "cpu")
    log_probs_BKV = (logits_of(model, batch) / temperature).log_softmax(dim=-1)
    return log_probs_BKV.gather(-1, batch.targets_BK.unsqueeze(-1)).squeeze(-1)


@pytest.mark.parametrize(("temperature", "kl"), [(1.0, 0.0), (0.7, 0.0), (1.0, 0.3), (1.3, 0.3)])
def test_grpo_equals_the_naive_loss(temperature: float, kl: float) -> None:
    policy, old, start = random_model(0), random_model(1), random_model(2)
    config = grpo_config(temperature=temperature, kl=kl)
    method = Grpo(config, start if kl else None)
    advantages_B = method.advantages(torch.tensor(REWARDS).view(2, 2)).flatten()
    found = total(method, rows_of(advantages_B, old_log_probs(old, temperature)), policy)

    expected = 0.0
    for row, response in enumerate(RESPONSES):
        pair = REWARDS[row // 2 * 2 : row // 2 * 2 + 2]
        mean = sum(pair) / 2
        advantage = (REWARDS[row] - mean) / (math.sqrt(sum((r - mean) ** 2 for r in pair)) + 1e-6)
        now, before, first = (distributions(model, row, temperature) for model in (policy, old, start))
        for t, token in enumerate(response):
            ratio = math.exp(now[t][token] - before[t][token])
            gain = min(ratio * advantage, min(max(ratio, 0.8), 1.2) * advantage)
            reference = math.exp(first[t][token] - now[t][token])
            penalty = reference - 1 - math.log(reference)
            expected += (-gain + kl * penalty) / len(response) / len(RESPONSES)
    assert found == pytest.approx(expected, rel=1e-5)


def test_mixed_is_grpo_on_the_same_rows() -> None:
    policy, config = random_model(0), grpo_config()
    rows = rows_of(torch.tensor([1.0, -1.0, 0.5, -0.5]), old_log_probs(random_model(1), 1.0))
    assert total(Mixed(config, None), rows, policy) == total(Grpo(config, None), rows, policy)


def test_opd_equals_the_naive_divergence_of_each_prompts_own_teachers() -> None:
    student = random_model(0)
    models = {"a": random_model(1), "b": random_model(2), "c": random_model(3)}
    teachers = [
        Teacher(name="a", domain="sort", weight=0.5),
        Teacher(name="b", domain="sort", weight=1.5),
        Teacher(name="c", domain="reverse", weight=2.0),
    ]
    found = total(Opd(opd_config(), teachers, models), rows_of(torch.zeros(4)), student)

    expected, tokens = 0.0, sum(map(len, RESPONSES))
    for row, response in enumerate(RESPONSES):
        own = distributions(student, row)
        for teacher in teachers:
            if teacher.domain == DOMAINS[row]:
                other = distributions(models[teacher.name], row)
                for t in range(len(response)):
                    kl = sum(math.exp(p) * (p - q) for p, q in zip(own[t], other[t], strict=True))
                    expected += teacher.weight * kl / tokens
    assert found == pytest.approx(expected, rel=1e-5)


def test_opd_counts_its_teachers_passes() -> None:
    teachers = [Teacher(name=name, domain=domain) for name, domain in (("a", "sort"), ("b", "sort"), ("c", "reverse"))]
    assert Opd(opd_config(), teachers, {}).forward_passes == 1.5
