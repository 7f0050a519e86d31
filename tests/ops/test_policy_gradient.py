"""GRPO's parts against a naive float64 loss written out in loops, and values worked out by hand."""

import math
import random

import pytest
import torch

from thicket.ops.policy_gradient import (
    centred_advantages,
    clipped_policy_loss,
    clipped_value_loss,
    constant_length_weights,
    divergence_weights,
    generalised_advantages,
    group_advantages,
    sequence_log_ratio,
    sequence_mean_weights,
    token_mean_weights,
    top_share,
    whitened,
)


def test_group_advantages_by_hand() -> None:
    # Rewards 1, 0, 0, 0: mean ¼, sample standard deviation √(¾·¾ + 3·¼·¼)/√3 = ½.
    found_PG = group_advantages(torch.tensor([[1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0]]), epsilon=0.0 + 1e-12)
    torch.testing.assert_close(found_PG[0], torch.tensor([1.5, -0.5, -0.5, -0.5]), rtol=1e-6, atol=1e-6)
    assert found_PG[1].tolist() == [0.0] * 4


def test_equal_rewards_have_no_advantage_to_the_bit() -> None:
    """The mean of seven equal fractions is another number in float32, and (std + 1e-6) makes much of it."""
    rewards_PG = torch.linspace(-0.9, 0.9, 101).unsqueeze(1).expand(-1, 7)
    assert (rewards_PG.mean(dim=1, keepdim=True) != rewards_PG).any()
    assert not group_advantages(rewards_PG, 1e-6).any()


@pytest.mark.parametrize(
    ("ratio", "advantage", "expected"),
    [
        (1.1, 2.0, -2.2),  # inside the clip
        (1.5, 2.0, -2.4),  # too far in the good direction: 1.2 counts
        (0.5, 2.0, -1.0),  # too far in the bad direction: the whole of it counts
        (1.5, -2.0, 3.0),
        (0.5, -2.0, 1.6),  # 0.8 counts
    ],
)
def test_clipped_loss_by_hand(ratio: float, advantage: float, expected: float) -> None:
    loss_BT = clipped_policy_loss(
        torch.tensor([[math.log(ratio)]]), torch.zeros(1, 1), torch.tensor([[advantage]]), 0.2, 0.2
    )
    assert float(loss_BT) == pytest.approx(expected, rel=1e-6)


def test_at_ratio_one_the_gradient_is_that_of_the_policy_gradient() -> None:
    log_probs_BT = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    advantages_B = torch.tensor([0.7, -1.3], dtype=torch.float64)
    loss = clipped_policy_loss(log_probs_BT, log_probs_BT.detach(), advantages_B.unsqueeze(1), 0.2, 0.2).sum()
    (gradient_BT,) = torch.autograd.grad(loss, log_probs_BT)
    torch.testing.assert_close(gradient_BT, -advantages_B.unsqueeze(1).expand(2, 3))


def naive_grpo(log_probs: list, old: list, rewards: list, lengths: list, group: int, clip: float, eps: float) -> float:
    """(1/B) Σ_i (1/|o_i|) Σ_t −min(r Â, clip(r) Â), in loops."""
    total = 0.0
    for i in range(len(rewards)):
        mates = rewards[i // group * group : i // group * group + group]
        mean = sum(mates) / group
        std = math.sqrt(sum((m - mean) ** 2 for m in mates) / (group - 1))
        advantage = (rewards[i] - mean) / (std + eps)
        response = 0.0
        for t in range(lengths[i]):
            ratio = math.exp(log_probs[i][t] - old[i][t])
            response += min(ratio * advantage, min(max(ratio, 1 - clip), 1 + clip) * advantage)
        total -= response / lengths[i]
    return total / len(rewards)


def test_grpo_loss_equals_the_naive_one() -> None:
    rng = random.Random(0)
    group, prompts, longest = 4, 3, 7
    rows = group * prompts
    rewards = [float(rng.random() < 0.5) for _ in range(rows)]
    lengths = [rng.randint(1, longest) for _ in range(rows)]
    log_probs = [[rng.uniform(-3, 0) for _ in range(longest)] for _ in range(rows)]
    old = [[value + rng.uniform(-0.6, 0.6) for value in row] for row in log_probs]
    mask_BT = (torch.arange(longest) < torch.tensor(lengths).unsqueeze(1)).double()
    advantages_B = group_advantages(torch.tensor(rewards, dtype=torch.float64).view(prompts, group), 1e-6).flatten()
    now_BT, old_BT = (torch.tensor(values, dtype=torch.float64) for values in (log_probs, old))
    loss_BT = clipped_policy_loss(now_BT, old_BT, advantages_B.unsqueeze(1), clip=0.2, clip_high=0.2)
    found = float((loss_BT * sequence_mean_weights(mask_BT)).sum())
    assert found == pytest.approx(naive_grpo(log_probs, old, rewards, lengths, group, 0.2, 1e-6), rel=1e-12)


def test_weights_sum_to_one_and_count_as_they_say() -> None:
    mask_BT = torch.tensor([[1.0, 1.0, 1.0, 1.0], [1.0, 0.0, 0.0, 0.0]])
    by_sequence_BT, by_token_BT = sequence_mean_weights(mask_BT), token_mean_weights(mask_BT)
    assert by_sequence_BT.sum(dim=1).tolist() == [0.5, 0.5]
    assert by_token_BT[0].tolist() == pytest.approx([0.2] * 4)
    assert float(by_token_BT.sum()) == pytest.approx(1.0)


def test_the_top_share_of_each_response() -> None:
    divergence_BT = torch.tensor(
        [[0.1, 0.4, 0.3, 9.0], [0.0, 0.0, 0.0, 9.0], [0.2, 0.2, 0.1, 0.2], [5.0, 1.0, 2.0, 3.0]]
    )
    mask_BT = torch.tensor([[1.0, 1, 1, 0], [1, 1, 1, 0], [1, 1, 1, 1], [1, 0, 0, 0]])
    expected = [[0.0, 1, 1, 0], [1, 1, 1, 0], [1, 1, 0, 1], [1, 0, 0, 0]]
    assert top_share(divergence_BT, mask_BT, 0.5).tolist() == expected
    assert top_share(divergence_BT, mask_BT, 1.0).equal(mask_BT)


@pytest.mark.parametrize(("share", "tokens"), [(0.3, 50), (0.7, 10), (0.1, 30), (0.6, 5), (0.9, 2000)])
def test_a_share_of_whole_tokens_is_not_rounded_up(share: float, tokens: int) -> None:
    kept = top_share(torch.arange(1.0, tokens + 1).unsqueeze(0), torch.ones((1, tokens)), share)
    assert int(kept.sum()) == round(share * tokens)


def test_generalised_advantages_equal_the_naive_sum() -> None:
    rng = random.Random(1)
    lengths = [4, 1, 3]
    rewards, values = ([[rng.uniform(-1, 1) for _ in range(4)] for _ in lengths] for _ in range(2))
    mask_BT = (torch.arange(4) < torch.tensor(lengths).unsqueeze(1)).double()
    rewards_BT, values_BT = (torch.tensor(numbers, dtype=torch.float64) for numbers in (rewards, values))
    found_BT = generalised_advantages(rewards_BT, values_BT, mask_BT, 0.9, 0.7)
    for row, length in enumerate(lengths):
        for t in range(4):
            expected = 0.0
            for later in range(t, length):
                following = values[row][later + 1] if later + 1 < length else 0.0
                delta = rewards[row][later] + 0.9 * following - values[row][later]
                expected += (0.9 * 0.7) ** (later - t) * delta
            assert float(found_BT[row, t]) == pytest.approx(expected, abs=1e-12)


def test_hand_worked_values() -> None:
    mask_BT = torch.tensor([[1.0, 1.0, 0.0]])
    # A reward of 1 after values of 0.5 and 0.25, γ = λ = 1: what is still to come less what was expected.
    values_BT, rewards_BT = torch.tensor([[0.5, 0.25, 7.0]]), torch.tensor([[0.0, 1.0, 0.0]])
    assert generalised_advantages(rewards_BT, values_BT, mask_BT, 1.0, 1.0).tolist() == [[0.5, 0.75, 0.0]]
    assert centred_advantages(torch.tensor([[1.0, 0.0, 0.0, 0.0]])).tolist() == [[0.75, -0.25, -0.25, -0.25]]
    assert constant_length_weights(mask_BT, torch.tensor([8])).tolist() == [[0.125, 0.125, 0.0]]
    assert sequence_log_ratio(
        torch.tensor([[-1.0, -2.0, 0.0]]), torch.tensor([[-2.0, -2.0, 5.0]]), mask_BT
    ).tolist() == [0.5]
    assert whitened(torch.tensor([[1.0, 3.0, 9.0]]), mask_BT, 0.0).tolist() == [[-1.0, 1.0, 0.0]]
    assert divergence_weights(torch.tensor([0.0]), 5.0, 1.0).tolist() == [1.0]
    assert float(divergence_weights(torch.tensor([math.log(3)]), 1.0, 1.0)) == pytest.approx(1.25)
    assert clipped_value_loss(
        torch.tensor([1.0]), torch.tensor([0.0]), torch.tensor([1.0]), 0.2
    ).tolist() == pytest.approx([0.32])


def test_clip_higher_acts_on_the_upper_side_alone() -> None:
    old_BT = torch.zeros(1, 2)
    log_probs_BT = torch.tensor([[math.log(1.5), math.log(0.5)]])
    gained = clipped_policy_loss(log_probs_BT, old_BT, torch.ones(1, 2), 0.2, 0.28)
    lost = clipped_policy_loss(log_probs_BT, old_BT, -torch.ones(1, 2), 0.2, 0.28)
    assert gained[0].tolist() == pytest.approx([-1.28, -0.5])
    assert lost[0].tolist() == pytest.approx([1.5, 0.8])
