"""Advantages and the clipped policy loss. Legend: P prompts, G responses a prompt, B = P·G rows, T positions."""

import torch
from torch import Tensor


def group_advantages(rewards_PG: Tensor, epsilon: float) -> Tensor:
    """(R − mean) / (std + ε) within a group, advantages_PG (GRPO, arXiv 2402.03300 §4.1.2).

    The standard deviation is that of a sample (G − 1 in the denominator). A group of equal rewards has advantage 0.
    """
    centred_PG = rewards_PG - rewards_PG.mean(dim=1, keepdim=True)
    return centred_PG / (rewards_PG.std(dim=1, keepdim=True) + epsilon)


def clipped_policy_loss(log_probs_BT: Tensor, old_log_probs_BT: Tensor, advantages_B: Tensor, clip: float) -> Tensor:
    """−min(r Â, clip(r, 1−ε, 1+ε) Â) with r = π_θ/π_old, loss_BT (PPO, arXiv 1707.06347 eq. 7)."""
    ratio_BT = (log_probs_BT - old_log_probs_BT).exp()
    advantages_B1 = advantages_B.unsqueeze(-1)
    clipped_BT = ratio_BT.clamp(1 - clip, 1 + clip)
    return -torch.minimum(ratio_BT * advantages_B1, clipped_BT * advantages_B1)


def sequence_mean_weights(mask_BT: Tensor) -> Tensor:
    """Weights whose loss is the mean over responses of their tokens' mean (GRPO): mask / (|o_i| · B), weights_BT."""
    return mask_BT / (mask_BT.sum(dim=1, keepdim=True).clamp(min=1) * mask_BT.shape[0])


def token_mean_weights(mask_BT: Tensor) -> Tensor:
    """Weights whose loss is the mean over all tokens of the batch: mask / Σ mask, weights_BT."""
    return mask_BT / mask_BT.sum().clamp(min=1)
