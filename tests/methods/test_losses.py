"""What the methods say of a batch: losses, weights and advantages against naive float64 sums over loops."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from small_models import plain_logits, random_llama
from torch import Tensor
from transformers import PreTrainedModel

from thicket.config.optimizer import Optimizer
from thicket.config.policy_gradient import Dapo as DapoConfig
from thicket.config.policy_gradient import DrGrpo as DrGrpoConfig
from thicket.config.policy_gradient import Grpo as GrpoConfig
from thicket.config.policy_gradient import Gspo as GspoConfig
from thicket.config.policy_gradient import PolicyGradient
from thicket.config.policy_gradient import Ppo as PpoConfig
from thicket.config.policy_gradient import Simplerl as SimplerlConfig
from thicket.methods.dapo import Dapo
from thicket.methods.dr_grpo import DrGrpo
from thicket.methods.grpo import Grpo
from thicket.methods.gspo import Gspo
from thicket.methods.method import Rows, TokenLoss
from thicket.methods.mixed import Mixed
from thicket.methods.ppo import Ppo
from thicket.methods.simplerl import Simplerl
from thicket.sampling.reading import trained_hidden
from thicket.sampling.rollouts import sequences

PROMPTS = [[5, 6, 7], [5, 6, 7], [8], [8]]
RESPONSES = [[9, 10, 2], [11, 2], [12, 13, 14, 15], [2]]
REWARDS = [1.0, 0.0, 0.25, 0.75]
DOMAINS = ["sort", "sort", "reverse", "reverse"]
LONGEST = 8
RECIPES: dict[str, tuple[type[PolicyGradient], Any]] = {
    "grpo": (GrpoConfig, Grpo),
    "simplerl": (SimplerlConfig, Simplerl),
    "dapo": (DapoConfig, Dapo),
    "dr_grpo": (DrGrpoConfig, DrGrpo),
    "gspo": (GspoConfig, Gspo),
    "ppo": (PpoConfig, Ppo),
}


def random_model(seed: int) -> PreTrainedModel:
    return random_llama(seed, spread=20).requires_grad_(False).double()


START = random_model(2)


def recipe(name: str, load: Callable[[], PreTrainedModel] | None = None, **values: Any) -> Any:
    """A method of the family over two prompts with two responses each."""
    config, method = RECIPES[name]
    more = {"critic_lr": 1e-3} if name == "ppo" else {}
    made = config(type=name, prompts=2, group=2, optimizer=Optimizer(lr=1e-3), steps=1, **{**more, **values})  # type: ignore[call-arg]
    return method(made, load or (lambda: START if name != "ppo" else random_model(2).float()))


def rows_of(old_BK: Tensor | None = None) -> Rows:
    batch = sequences(PROMPTS, RESPONSES, "cpu")
    longest_B = torch.full((len(PROMPTS),), LONGEST)
    return Rows(batch, DOMAINS, torch.tensor(REWARDS), longest_B, torch.zeros_like(batch.mask_BK), old_BK)


def distributions(model: PreTrainedModel, row: int, temperature: float = 1.0) -> list[list[float]]:
    """Next-token log-probabilities at each token of a response, from a forward pass over that row alone."""
    ids = torch.tensor([PROMPTS[row] + RESPONSES[row]])
    logits_LV = model(ids).logits[0].double() / temperature
    first = len(PROMPTS[row]) - 1
    return logits_LV.log_softmax(dim=-1)[first : first + len(RESPONSES[row])].tolist()


def loss_of(method: Any, model: PreTrainedModel, rows: Rows) -> TokenLoss:
    return method.token_loss(model, trained_hidden(model, rows.sequences), rows)


def total(method: Any, rows: Rows, model: PreTrainedModel) -> float:
    rows = method.prepare(rows, 64)
    token = loss_of(method, model, rows)
    return float((token.loss_BK * method.weights(rows)).sum().detach())


def old_log_probs(model: PreTrainedModel, temperature: float = 1.0) -> Tensor:
    batch = sequences(PROMPTS, RESPONSES, "cpu")
    log_probs_BKV = (plain_logits(model, batch) / temperature).log_softmax(dim=-1)
    return log_probs_BKV.gather(-1, batch.targets_BK.unsqueeze(-1)).squeeze(-1)


def centred(row: int) -> float:
    """A row's reward less its group's mean, as in Dr. GRPO."""
    pair = REWARDS[row // 2 * 2 : row // 2 * 2 + 2]
    return REWARDS[row] - sum(pair) / 2


def standardised(row: int) -> float:
    """As in GRPO; two values lie √½ of their distance from their mean, in standard deviations of a sample."""
    pair = REWARDS[row // 2 * 2 : row // 2 * 2 + 2]
    return centred(row) / (abs(pair[0] - pair[1]) / math.sqrt(2) + 1e-6)


def gain(ratio: float, advantage: float, low: float = 0.2, high: float = 0.2) -> float:
    return min(ratio * advantage, min(max(ratio, 1 - low), 1 + high) * advantage)


ROWS = range(len(RESPONSES))
TOKENS = sum(map(len, RESPONSES))


@pytest.mark.parametrize(("temperature", "kl"), [(1.0, 0.0), (0.7, 0.0), (1.0, 0.3), (1.3, 0.3)])
def test_grpo_equals_the_naive_loss(temperature: float, kl: float) -> None:
    policy, old = random_model(0), random_model(1)
    found = total(recipe("grpo", temperature=temperature, kl=kl), rows_of(old_log_probs(old, temperature)), policy)
    expected = 0.0
    for row in ROWS:
        now, before, first = (distributions(model, row, temperature) for model in (policy, old, START))
        for t, token in enumerate(RESPONSES[row]):
            reference = math.exp(first[t][token] - now[t][token])
            penalty = reference - 1 - math.log(reference)
            won = gain(math.exp(now[t][token] - before[t][token]), standardised(row))
            expected += (-won + kl * penalty) / len(RESPONSES[row]) / len(ROWS)
    assert found == pytest.approx(expected, rel=1e-5)


def test_what_the_sampler_computed_otherwise_is_weighed() -> None:
    """By min(π_old/μ, 1.5): μ is here the start's distribution, in the place of an inference engine's."""
    policy, old = random_model(0), random_model(1)
    rows = replace(rows_of(old_log_probs(old)), behaviour_BK=old_log_probs(START))
    expected, weights = 0.0, []
    for row in ROWS:
        now, before, first = (distributions(model, row) for model in (policy, old, START))
        for t, token in enumerate(RESPONSES[row]):
            weights.append(min(math.exp(before[t][token] - first[t][token]), 1.5))
            advantage = standardised(row) * weights[-1]
            expected -= gain(math.exp(now[t][token] - before[t][token]), advantage) / len(RESPONSES[row]) / len(ROWS)
    assert total(recipe("grpo", importance_cap=1.5), rows, policy) == pytest.approx(expected, rel=1e-5)
    assert 1.5 in weights
    assert min(weights) < 1


def test_micro_batches_hold_rows_of_like_length_and_prompts_whole() -> None:
    batch = sequences([[5], [5], [6], [6], [7], [7]], [[9] * length for length in (2, 7, 1, 3, 5, 4)], "cpu")
    rows = Rows(batch, ["sort"] * 6, torch.zeros(6), torch.zeros(6), torch.ones_like(batch.mask_BK))
    assert recipe("grpo").in_order(rows).tolist() == [2, 3, 4, 5, 0, 1]


@pytest.mark.parametrize("name", ["grpo", "dapo", "dr_grpo", "gspo"])
def test_a_prompt_whose_rewards_are_equal_is_not_read_and_gives_no_gradient(name: str) -> None:
    def gradient_of(rows: Rows, order_N: Tensor) -> Tensor:
        model: Any = random_model(0).float()
        model.lm_head.weight.requires_grad_(True)
        part = rows.rows(order_N)
        weights_NK = method.weights(rows)[order_N, : part.advantages_BK.shape[1]]
        method.update(model, part, weights_NK).loss.backward()
        return model.lm_head.weight.grad

    method = recipe(name)
    rows = method.prepare(replace(rows_of(), rewards_B=torch.tensor([0.5, 0.5, 0.25, 0.75])), 64)
    assert method.in_order(rows).tolist() == [2, 3]
    torch.testing.assert_close(gradient_of(rows, torch.tensor([2, 3])), gradient_of(rows, torch.arange(4)))
    idle = method.prepare(replace(rows_of(), rewards_B=torch.ones(4)), 64)
    order_N = method.in_order(idle)
    assert order_N.tolist() == [2, 3], "the optimizer wants its step"
    assert not gradient_of(idle, order_N).any()
    penalised = recipe(name, kl=0.1)
    assert sorted(penalised.in_order(idle).tolist()) == [0, 1, 2, 3]


def naive_token_sum(advantage: Callable[[int], float], high: float) -> float:
    """Σ_i Σ_t −min(r Â, clip(r, 0.8, 1 + high) Â), π_θ of seed 0 and π_old of seed 1."""
    policy, old = random_model(0), random_model(1)
    loss = 0.0
    for row in ROWS:
        now, before = distributions(policy, row), distributions(old, row)
        for t, token in enumerate(RESPONSES[row]):
            loss -= gain(math.exp(now[t][token] - before[t][token]), advantage(row), high=high)
    return loss


@pytest.mark.parametrize(
    ("name", "values", "advantage", "high", "divisor"),
    [
        ("dapo", {}, standardised, 0.28, TOKENS),
        ("simplerl", {"kl": 0.0}, standardised, 0.2, TOKENS),
        ("dr_grpo", {}, centred, 0.2, LONGEST * len(RESPONSES)),
    ],
)
def test_recipes_over_tokens_equal_the_naive_loss(
    name: str, values: dict[str, Any], advantage: Callable[[int], float], high: float, divisor: int
) -> None:
    found = total(recipe(name, **values), rows_of(old_log_probs(random_model(1))), random_model(0))
    assert found == pytest.approx(naive_token_sum(advantage, high) / divisor, rel=1e-5)


def test_gspo_equals_the_naive_loss() -> None:
    policy, old = random_model(0), random_model(1)
    found = total(recipe("gspo", clip=0.1, clip_high=0.3), rows_of(old_log_probs(old)), policy)
    expected = 0.0
    for row in ROWS:
        now, before = distributions(policy, row), distributions(old, row)
        moved = sum(now[t][token] - before[t][token] for t, token in enumerate(RESPONSES[row]))
        expected -= gain(math.exp(moved / len(RESPONSES[row])), standardised(row), 0.1, 0.3) / len(ROWS)
    assert found == pytest.approx(expected, rel=1e-5)


def test_dapo_with_equal_clips_and_no_filters_is_grpo_with_a_token_mean() -> None:
    rows, policy = rows_of(old_log_probs(random_model(1))), random_model(0)
    dapo = recipe("dapo", clip_high=0.2, sampling_rounds=1, overlong_filter=False)
    assert bool(dapo.useful(torch.tensor([[1.0, 1.0], [0.0, 1.0]])).all())
    assert total(dapo, rows, policy) == total(recipe("simplerl", kl=0.0), rows, policy)
    assert total(recipe("dapo"), rows, policy) != total(dapo, rows, policy)


def test_dapo_keeps_groups_of_mixed_correctness() -> None:
    earned_PG = torch.tensor([[1.0, 1.0], [0.0, 1.0], [0.0, 0.0]])
    assert recipe("dapo").useful(earned_PG).tolist() == [False, True, False]


def test_dapo_keeps_groups_whose_grades_differ_though_none_is_correct() -> None:
    earned_PG = torch.tensor([[0.25, 0.25], [0.25, 0.5]])
    assert recipe("dapo").useful(earned_PG).tolist() == [False, True]


def test_gspo_on_responses_of_one_token_is_grpo() -> None:
    batch = sequences(PROMPTS, [[9], [11], [12], [2]], "cpu")
    full = rows_of()
    rows = replace(full, sequences=batch, advantages_BK=torch.zeros_like(batch.mask_BK))
    logits_BKV = plain_logits(random_model(1), batch).log_softmax(dim=-1)
    rows = replace(rows, old_log_probs_BK=logits_BKV.gather(-1, batch.targets_BK.unsqueeze(-1)).squeeze(-1))
    policy = random_model(0)
    gspo = recipe("gspo", clip=0.2, clip_high=0.2)
    assert total(gspo, rows, policy) == pytest.approx(total(recipe("grpo"), rows, policy), rel=1e-6)


def gradient(method: Any, rows: Rows, seed: int = 0) -> Tensor:
    """Of the loss, on the policy's head."""
    model: Any = random_model(seed).float()
    model.lm_head.weight.requires_grad_(True)
    rows = method.prepare(rows, 64)
    token = loss_of(method, model, rows)
    (token.loss_BK * method.weights(rows)).sum().backward()
    return model.lm_head.weight.grad


@pytest.mark.parametrize("name", ["grpo", "simplerl", "dapo", "dr_grpo", "gspo"])
def test_one_inner_update_is_the_on_policy_gradient(name: str) -> None:
    """Σ weight · Â · ∇log π, whatever the clips: the ratio is 1."""
    values: dict[str, Any] = {"kl": 0.0} if name == "simplerl" else {}
    method = recipe(name, **values)
    found = gradient(method, rows_of())
    model: Any = random_model(0).float()
    model.lm_head.weight.requires_grad_(True)
    rows = method.prepare(rows_of(), 64)
    log_probs_BKV = plain_logits(model, rows.sequences).log_softmax(dim=-1)
    log_probs_BK = log_probs_BKV.gather(-1, rows.sequences.targets_BK.unsqueeze(-1)).squeeze(-1)
    (-(method.weights(rows) * rows.advantages_BK * log_probs_BK).sum()).backward()
    torch.testing.assert_close(found, model.lm_head.weight.grad, rtol=1e-4, atol=1e-7)
    assert float(found.abs().max()) > 1e-3


@pytest.mark.parametrize("name", sorted(RECIPES))
@pytest.mark.parametrize("divergence", ["k3", "js"])
def test_weighting_with_alpha_zero_is_none(name: str, divergence: str) -> None:
    rows, policy = rows_of(old_log_probs(random_model(1))), random_model(0)
    plain = recipe(name, updates=2)
    weighted = recipe(name, updates=2, weighting={"type": "high_kl", "divergence": divergence, "alpha": 0.0})
    weighted.begin(random_model(1))
    assert total(weighted, rows, policy) == total(plain, rows, policy)


@pytest.mark.parametrize(("kind", "sign"), [("high_kl", 1.0), ("low_kl", -1.0)])
@pytest.mark.parametrize("divergence", ["k3", "js"])
def test_weighting_equals_the_naive_one(kind: str, sign: float, divergence: str) -> None:
    policy, old = random_model(0), random_model(1)
    weighting = {"type": kind, "divergence": divergence, "alpha": 3.0, "scale": 0.8}
    method = recipe("dapo", updates=2, weighting=weighting)
    method.begin(old)
    found = total(method, rows_of(old_log_probs(old)), policy)
    expected = 0.0
    for row in ROWS:
        now, before = distributions(policy, row), distributions(old, row)
        for t, token in enumerate(RESPONSES[row]):
            ratio = math.exp(now[t][token] - before[t][token])
            moved = ratio - 1 - math.log(ratio)
            if divergence == "js":
                pairs = [(math.exp(p), math.exp(q)) for p, q in zip(now[t], before[t], strict=True)]
                moved = sum(0.5 * (p * math.log(2 * p / (p + q)) + q * math.log(2 * q / (p + q))) for p, q in pairs)
            weight = 1 + 0.8 * (1 / (1 + math.exp(-sign * 3.0 * moved)) - 0.5)
            expected -= gain(ratio, weight * standardised(row), high=0.28) / TOKENS
    assert found == pytest.approx(expected, rel=1e-5)


def test_ppo_equals_the_naive_loss() -> None:
    """γ = 0.9, λ = 0.5, with a critic whose values are not 0."""
    policy, old = random_model(0), random_model(1)
    method = recipe("ppo", lambda: random_model(3).float(), discount=0.9, trace=0.5)
    torch.nn.init.normal_(method.critic.head.weight, generator=torch.Generator().manual_seed(0))
    rows = method.prepare(rows_of(old_log_probs(old)), 2)
    values = rows.kept["values"].tolist()
    offset = [len(prompt) - 1 for prompt in PROMPTS]  # all positions from the shortest prompt on are computed
    advantages: dict[tuple[int, int], float] = {}
    for row in ROWS:
        running = 0.0
        for t in reversed(range(len(RESPONSES[row]))):
            last = t == len(RESPONSES[row]) - 1
            following = 0.0 if last else values[row][offset[row] + t + 1]
            delta = (REWARDS[row] if last else 0.0) + 0.9 * following - values[row][offset[row] + t]
            running = delta + 0.9 * 0.5 * running
            advantages[row, t] = running
    mean = sum(advantages.values()) / TOKENS
    deviation = math.sqrt(sum((a - mean) ** 2 for a in advantages.values()) / TOKENS)
    expected = 0.0
    for row in ROWS:
        now, before = distributions(policy, row), distributions(old, row)
        for t, token in enumerate(RESPONSES[row]):
            ratio = math.exp(now[t][token] - before[t][token])
            # The critic is the one that made the values: its loss is half the squared advantage.
            of_critic = 0.5 * advantages[row, t] ** 2
            expected += (-gain(ratio, (advantages[row, t] - mean) / deviation) + of_critic) / TOKENS
    token = loss_of(method, policy, rows)
    assert float((token.loss_BK * method.weights(rows)).sum().detach()) == pytest.approx(expected, rel=1e-5)


def test_a_fresh_critic_expects_nothing() -> None:
    rows = recipe("ppo", lambda: random_model(3).float()).prepare(rows_of(), 64)
    assert float(rows.kept["values"].abs().max()) == 0.0
    assert rows.kept["returns"][0, 2:5].tolist() == [1.0, 1.0, 1.0]


def test_the_divergence_that_chooses_tokens() -> None:
    policy = random_model(0)
    rows = rows_of(old_log_probs(random_model(1)))
    hidden_BKH = trained_hidden(policy, rows.sequences)
    found_BK = recipe("grpo", updates=2, top={"share": 0.5}).moved(policy, hidden_BKH, rows)
    of_start = recipe("grpo", top={"share": 0.5, "against": "start", "divergence": "js"})
    from_start_BK = of_start.moved(policy, hidden_BKH, rows)
    now, before, first = (distributions(model, 2) for model in (policy, random_model(1), START))
    for t, token in enumerate(RESPONSES[2]):
        ratio = math.exp(now[t][token] - before[t][token])
        assert float(found_BK[2, t]) == pytest.approx(ratio - 1 - math.log(ratio), rel=1e-5)
        pairs = [(math.exp(p), math.exp(q)) for p, q in zip(now[t], first[t], strict=True)]
        js = sum(0.5 * (p * math.log(2 * p / (p + q)) + q * math.log(2 * q / (p + q))) for p, q in pairs)
        assert float(from_start_BK[2, t]) == pytest.approx(js, rel=1e-4)


def test_mixed_is_grpo_on_the_same_rows() -> None:
    policy, grpo = random_model(0), recipe("grpo")
    rows = rows_of(old_log_probs(random_model(1)))
    assert total(Mixed(grpo.config, lambda: START), rows, policy) == total(grpo, rows, policy)


@pytest.mark.parametrize("name", ["grpo", "dapo", "ppo"])
def test_picked_tokens_have_the_loss_that_they_have_among_all(name: str) -> None:
    policy, method = random_model(0).float(), recipe(name, updates=2, weighting={"type": "high_kl"})
    rows = method.prepare(rows_of(old_log_probs(random_model(1))), 64)
    whole_BK = loss_of(method, policy, rows).loss_BK
    chosen_BK = rows.sequences.mask_BK * (torch.arange(rows.sequences.mask_BK.shape[1]) % 2)
    picked = rows.picked(chosen_BK)
    found_1N = loss_of(method, policy, picked).loss_BK
    torch.testing.assert_close(found_1N[0], whole_BK[chosen_BK > 0])
