"""How two models' next-token distributions differ at each position, over the full vocabulary, in nats.

Made for measuring, not for training: exact zeros of probability are allowed, and nearly equal distributions keep their
digits. Legend: N positions, V vocabulary, K candidates.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from thicket.ops.divergence import jensen_shannon, log_ratio


@dataclass(frozen=True)
class TokenDivergence:
    """Figures of N positions. The base is one model, and what was made of it the other (arXiv 2603.22446)."""

    js_N: Tensor
    """Jensen–Shannon divergence."""
    kl_other_base_N: Tensor
    """KL(other ‖ base)."""
    kl_base_other_N: Tensor
    """KL(base ‖ other)."""
    entropy_base_N: Tensor
    entropy_other_N: Tensor
    rank_N: Tensor
    """Of the other's likeliest token among the base's, from 1."""
    base_probability_N: Tensor
    """That token's in the base."""
    overlap_N: Tensor
    """Share of the base's K likeliest tokens that are among the other's K likeliest."""
    same_N: Tensor
    """Whether both have one likeliest token; that is where the rank is 1."""


def of_logits(base_NV: Tensor, other_NV: Tensor, words: int, candidates: int) -> TokenDivergence:
    """All figures, from logits whose columns from `words` on are padding and take no probability; on CUDA by a kernel.

    Ties are `token_divergence`'s. Logits wider than float32 go the plain way on CUDA too.
    """
    if base_NV.is_cuda and max(base_NV.element_size(), other_NV.element_size()) <= torch.float32.itemsize:
        from thicket.ops.kernels.token_divergence import token_divergence as kernel

        return kernel(base_NV, other_NV, words, candidates)
    log_base_NV, log_other_NV = (one[:, :words].float().log_softmax(dim=-1) for one in (base_NV, other_NV))
    return token_divergence(log_base_NV, log_other_NV, candidates)


def token_divergence(log_base_NV: Tensor, log_other_NV: Tensor, candidates: int) -> TokenDivergence:
    """All figures, from log-probabilities.

    Of tokens with equal probability the first in the vocabulary is the likelier; which of those that tie for the last
    of K places is counted in the overlap is torch's choice. K is at most V.
    """
    first_N1 = log_other_NV.argmax(dim=-1, keepdim=True)
    reached_N1 = log_base_NV.gather(-1, first_N1)
    before_V = torch.arange(log_base_NV.shape[-1], device=log_base_NV.device)
    ahead_NV = (log_base_NV > reached_N1) | ((log_base_NV == reached_N1) & (before_V < first_N1))
    rank_N = 1 + ahead_NV.sum(dim=-1)
    return TokenDivergence(
        js_N=jensen_shannon(log_base_NV, log_other_NV),
        kl_other_base_N=kl(log_other_NV, log_base_NV),
        kl_base_other_N=kl(log_base_NV, log_other_NV),
        entropy_base_N=torch.special.entr(log_base_NV.exp()).sum(dim=-1),
        entropy_other_N=torch.special.entr(log_other_NV.exp()).sum(dim=-1),
        rank_N=rank_N,
        base_probability_N=reached_N1.squeeze(-1).exp(),
        overlap_N=_overlap(log_base_NV, log_other_NV, candidates),
        same_N=rank_N == 1,
    )


def kl(log_p_NV: Tensor, log_q_NV: Tensor) -> Tensor:
    """KL(p ‖ q) as Σ_v p log(p/q) − p + q, kl_N; infinite where q lacks a token of p.

    The last two terms sum to 0 but for rounding, and take that of the normalisation away. What rounding is left, some
    1e-8 and of either sign, stays in the figure.
    """
    p_NV, q_NV = log_p_NV.exp(), log_q_NV.exp()
    weighted_NV = p_NV * log_ratio(log_p_NV, log_q_NV)
    return (torch.where(p_NV > 0, weighted_NV, 0.0) - p_NV + q_NV).sum(dim=-1)


def _overlap(log_p_NV: Tensor, log_q_NV: Tensor, candidates: int) -> Tensor:
    k = min(candidates, log_p_NV.shape[-1])
    of_p_NK, of_q_NK = (one.topk(k, dim=-1).indices for one in (log_p_NV, log_q_NV))
    shared_NK = (of_p_NK.unsqueeze(-1) == of_q_NK.unsqueeze(-2)).any(dim=-1)
    return shared_NK.to(log_p_NV.dtype).mean(dim=-1)
