"""What a student's next-token distributions are pulled towards: divergences and cheaper signals, all differentiable.

Legend: N tokens, V vocabulary, K teachers; logarithms in nats. `shares_K` are the teachers' weights and sum to 1.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

Loss = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""(log_p_NV of the student, log_q_KNV of the teachers, shares_K, tokens_N that the student took) → loss_N."""


def reverse_kl(log_p_NV: Tensor, log_q_KNV: Tensor, shares_K: Tensor, tokens_N: Tensor) -> Tensor:
    """Σ_k w_k KL(p ‖ q_k) (arXiv 2606.19348 eq. 29), by the teachers' pooled log-probability: one sum over V.

    Σ_k w_k KL(p ‖ q_k) = Σ_v p (log p − Σ_k w_k log q_k). Gradient on the logits: p ⊙ (log p − Σ w log q − loss).
    """
    pooled_NV = torch.einsum("k,knv->nv", shares_K, log_q_KNV) if len(shares_K) > 1 else log_q_KNV[0]
    return (log_p_NV.exp() * (log_p_NV - pooled_NV)).sum(dim=-1)


def forward_kl(log_p_NV: Tensor, log_q_KNV: Tensor, shares_K: Tensor, tokens_N: Tensor) -> Tensor:
    """Σ_k w_k KL(q_k ‖ p). Gradient on the logits: p − Σ_k w_k q_k."""
    kl_KN = (log_q_KNV.exp() * (log_q_KNV - log_p_NV)).sum(dim=-1)
    return shares_K @ kl_KN


def jsd(beta: float) -> Loss:
    """Σ_k w_k JSD_β(q_k, p), the generalised Jensen-Shannon divergence (GKD, arXiv 2306.13649 eq. 1), 0 < β < 1.

    JSD_β = β·KL(q ‖ m) + (1−β)·KL(p ‖ m) with m = βq + (1−β)p.
    """
    assert 0 < beta < 1

    def loss(log_p_NV: Tensor, log_q_KNV: Tensor, shares_K: Tensor, tokens_N: Tensor) -> Tensor:
        log_m_KNV = torch.logaddexp(log_q_KNV + math.log(beta), log_p_NV + math.log1p(-beta))
        of_q_KN = (log_q_KNV.exp() * (log_q_KNV - log_m_KNV)).sum(dim=-1)
        of_p_KN = (log_p_NV.exp() * (log_p_NV - log_m_KNV)).sum(dim=-1)
        return shares_K @ (beta * of_q_KN + (1 - beta) * of_p_KN)

    return loss


def top_k_with_tail(k: int) -> Loss:
    """Reverse KL between p and q over each teacher's k likeliest tokens and one bucket for all others.

    A lower bound of the whole divergence that is 0 only where the student has the teacher's top-k mass.
    """

    def loss(log_p_NV: Tensor, log_q_KNV: Tensor, shares_K: Tensor, tokens_N: Tensor) -> Tensor:
        log_p_KNk, log_q_KNk = _top(log_p_NV, log_q_KNV, k)
        p_KNk, rest_p_KN = log_p_KNk.exp(), _rest(log_p_KNk)
        inside_KN = (p_KNk * (log_p_KNk - log_q_KNk)).sum(dim=-1)
        return shares_K @ (inside_KN + rest_p_KN.exp() * (rest_p_KN - _rest(log_q_KNk)))

    return loss


def top_k_unnormalised(k: int) -> Loss:
    """Σ over each teacher's k likeliest tokens of p log(p/q) − p + q, as between measures (MOPD, arXiv 2606.30406).

    The last two terms keep p = q stationary; without them the student shrinks the mass of the top k. (+ q, a constant,
    makes the loss 0 there.)
    """

    def loss(log_p_NV: Tensor, log_q_KNV: Tensor, shares_K: Tensor, tokens_N: Tensor) -> Tensor:
        log_p_KNk, log_q_KNk = _top(log_p_NV, log_q_KNV, k)
        p_KNk = log_p_KNk.exp()
        return shares_K @ (p_KNk * (log_p_KNk - log_q_KNk) - p_KNk + log_q_KNk.exp()).sum(dim=-1)

    return loss


def sampled_token(clip: float | None) -> Loss:
    """The policy-gradient estimate at the sampled token: −sg[Â]·log p(y), Â = log q̄(y) − log p(y) clipped to ±clip.

    Its expectation over y ~ p has the gradient of the reverse KL; its variance is that of one token (MiMo-V2-Flash,
    arXiv 2601.02780). The value is the estimate −Â of the divergence.
    """

    def loss(log_p_NV: Tensor, log_q_KNV: Tensor, shares_K: Tensor, tokens_N: Tensor) -> Tensor:
        log_p_N = log_p_NV.gather(-1, tokens_N.unsqueeze(-1)).squeeze(-1)
        at_KN1 = tokens_N.expand(len(log_q_KNV), -1).unsqueeze(-1)
        advantage_N = shares_K @ log_q_KNV.gather(-1, at_KN1).squeeze(-1) - log_p_N.detach()
        clipped_N = advantage_N if clip is None else advantage_N.clamp(-clip, clip)
        return -clipped_N * (log_p_N - log_p_N.detach()) - clipped_N

    return loss


def top1(log_p_NV: Tensor, log_q_KNV: Tensor, shares_K: Tensor, tokens_N: Tensor) -> Tensor:
    """Cross-entropy to each teacher's likeliest token, a hard label."""
    labels_KN1 = log_q_KNV.argmax(dim=-1, keepdim=True)
    return -(shares_K @ log_p_NV.expand_as(log_q_KNV).gather(-1, labels_KN1).squeeze(-1))


def _top(log_p_NV: Tensor, log_q_KNV: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Both distributions at each teacher's k likeliest tokens, KNk."""
    log_q_KNk, at_KNk = log_q_KNV.topk(min(k, log_q_KNV.shape[-1]), dim=-1)
    return log_p_NV.expand_as(log_q_KNV).gather(-1, at_KNk), log_q_KNk


def _rest(log_p_KNk: Tensor) -> Tensor:
    """log(1 − Σ exp): the mass of all other tokens, at least the smallest normal number."""
    inside_KN = log_p_KNk.exp().sum(dim=-1)
    return (1 - inside_KN).clamp(min=torch.finfo(inside_KN.dtype).tiny).log()
