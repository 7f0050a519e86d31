"""Advantages, clipped policy losses, weights of tokens. Legend: P prompts, G responses a prompt, B rows, T positions.

Advantages are given for each token; those of a whole response are the same at each of its tokens.
"""

import torch
from torch import Tensor


def group_advantages(rewards_PG: Tensor, epsilon: float) -> Tensor:
    """(R − mean) / (std + ε) within a group, advantages_PG (GRPO, arXiv 2402.03300 §4.1.2).

    The standard deviation is that of a sample (G − 1 in the denominator). A group of equal rewards has advantage 0.
    """
    centred_PG = centred_advantages(rewards_PG)
    return centred_PG / (rewards_PG.std(dim=1, keepdim=True) + epsilon)


def centred_advantages(rewards_PG: Tensor) -> Tensor:
    """R − mean within a group, advantages_PG (Dr. GRPO, arXiv 2503.20783 §3.2); 0 where all are equal, to the bit."""
    equal_P1 = rewards_PG.amax(dim=1, keepdim=True) == rewards_PG.amin(dim=1, keepdim=True)
    return (rewards_PG - rewards_PG.mean(dim=1, keepdim=True)).masked_fill(equal_P1, 0)


def generalised_advantages(
    rewards_BT: Tensor, values_BT: Tensor, mask_BT: Tensor, discount: float, trace: float
) -> Tensor:
    """Σ_l (γλ)^l δ_{t+l} with δ_t = r_t + γ V_{t+1} − V_t, advantages_BT (GAE, arXiv 1506.02438 eq. 16).

    `values_BT` are V of the state before each token; after a row's last token the value is 0. 0 outside the mask, which
    is one run of ones in each row.
    """
    following_BT = torch.nn.functional.pad(values_BT * mask_BT, (0, 1))[:, 1:]
    delta_BT = (rewards_BT + discount * following_BT - values_BT) * mask_BT
    advantages_BT = torch.zeros_like(delta_BT)
    running_B = torch.zeros_like(delta_BT[:, 0])
    for t in range(delta_BT.shape[1] - 1, -1, -1):
        running_B = delta_BT[:, t] + discount * trace * running_B
        advantages_BT[:, t] = running_B
    return advantages_BT * mask_BT


def whitened(values_BT: Tensor, mask_BT: Tensor, epsilon: float) -> Tensor:
    """Values less their mean over their standard deviation, both over the mask; 0 outside it."""
    count = mask_BT.sum().clamp(min=1)
    centred_BT = (values_BT - (values_BT * mask_BT).sum() / count) * mask_BT
    return centred_BT / ((centred_BT.square().sum() / count).sqrt() + epsilon)


def clipped_policy_loss(
    log_probs_BT: Tensor, old_log_probs_BT: Tensor, advantages_BT: Tensor, clip: float, clip_high: float
) -> Tensor:
    """−min(r Â, clip(r, 1−ε, 1+ε_high) Â) with r = π_θ/π_old, loss_BT (PPO, arXiv 1707.06347 eq. 7).

    With ε_high above ε it is DAPO's clip-higher (arXiv 2503.14476 eq. 10).
    """
    ratio_BT = (log_probs_BT - old_log_probs_BT).exp()
    clipped_BT = ratio_BT.clamp(1 - clip, 1 + clip_high)
    return -torch.minimum(ratio_BT * advantages_BT, clipped_BT * advantages_BT)


def clipped_value_loss(values_BT: Tensor, old_values_BT: Tensor, returns_BT: Tensor, clip: float) -> Tensor:
    """½ max((V − R)², (V_old + clip(V − V_old, ±ε) − R)²), loss_BT (the critic's loss of PPO's released code)."""
    near_BT = old_values_BT + (values_BT - old_values_BT).clamp(-clip, clip)
    return 0.5 * torch.maximum((values_BT - returns_BT).square(), (near_BT - returns_BT).square())


def sequence_log_ratio(log_probs_BT: Tensor, old_log_probs_BT: Tensor, mask_BT: Tensor) -> Tensor:
    """(1/|y|) Σ_t log π_θ/π_old, log_ratio_B: GSPO's log s_i (arXiv 2507.18071 eq. 7)."""
    lengths_B = mask_BT.sum(dim=1).clamp(min=1)
    return ((log_probs_BT - old_log_probs_BT) * mask_BT).sum(dim=1) / lengths_B


def divergence_weights(divergence_BT: Tensor, alpha: float, scale: float) -> Tensor:
    """1 + s(σ(α·D) − ½), weights_BT (arXiv 2603.22446): above 1 where D > 0 for α > 0, below for α < 0."""
    return 1 + scale * (torch.sigmoid(alpha * divergence_BT) - 0.5)


def importance_weights(log_ratio_BT: Tensor, cap: float) -> Tensor:
    """min(π_old/μ, C) with μ the distribution that the sampler drew from, weights_BT.

    Truncated importance sampling (Ionides 2008): it corrects for a sampler that computes otherwise than the trainer.
    """
    return log_ratio_BT.exp().clamp(max=cap)


def bounded_ratio(log_ratio_N: Tensor, most: float | None) -> Tensor:
    """r = π_θ/π_old, and 0 where it is above `most`, ratio_N (MiMo-V2-Flash, arXiv 2601.02780).

    E_old[r·f] = E_θ[f]: an estimate at tokens that an older policy drew becomes that of the policy of the moment.
    """
    ratio_N = log_ratio_N.exp()
    return ratio_N if most is None else ratio_N.masked_fill(ratio_N > most, 0)


ROUNDING = 1e-9
"""Of a product of a share and a number of tokens, in tokens."""


def top_share(divergence_BT: Tensor, mask_BT: Tensor, share: float) -> Tensor:
    """1.0 at the ⌈share·|o_i|⌉ tokens of each response with the highest divergence, mask_BT.

    All tokens of a response none of which has a divergence above 0. Of equal ones at the border all are kept.
    """
    ranked_BT = divergence_BT.masked_fill(mask_BT == 0, float("-inf"))
    exact_B1 = share * mask_BT.sum(dim=1, keepdim=True).double()
    kept_B1 = (exact_B1 - ROUNDING).ceil().long().clamp(min=1)  # 0.3 · 50 is a little more than 15
    border_B1 = ranked_BT.sort(dim=1, descending=True).values.gather(1, kept_B1 - 1)
    nowhere_B1 = ranked_BT.amax(dim=1, keepdim=True) <= 0
    return mask_BT * ((divergence_BT >= border_B1) | nowhere_B1)


def sequence_mean_weights(mask_BT: Tensor) -> Tensor:
    """Weights whose loss is the mean over responses of their tokens' mean (GRPO): mask / (|o_i| · B), weights_BT."""
    return mask_BT / (mask_BT.sum(dim=1, keepdim=True).clamp(min=1) * mask_BT.shape[0])


def token_mean_weights(mask_BT: Tensor) -> Tensor:
    """Weights whose loss is the mean over all tokens of the batch: mask / Σ mask, weights_BT."""
    return mask_BT / mask_BT.sum().clamp(min=1)


def constant_length_weights(mask_BT: Tensor, longest_B: Tensor) -> Tensor:
    """Weights whose loss is the mean over responses of their tokens' sum over a constant: mask / (L_i · B), weights_BT.

    Dr. GRPO (arXiv 2503.20783 §3.2, released code): L is the longest response that is allowed.
    """
    return mask_BT / (longest_B.unsqueeze(1) * mask_BT.shape[0])
