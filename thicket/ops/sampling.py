"""From logits to a sampled token: temperature, top-k, top-p (in this order), then the inverse cumulated distribution.

Legend: B rows, V vocabulary.
"""

import torch
from torch import Tensor


def warped_log_probs(logits_BV: Tensor, temperature: float, top_k: int, top_p: float) -> Tensor:
    """Log-probabilities of the distribution that is sampled, log_probs_BV in float32; truncated tokens have −inf.

    top_k = 0 and top_p = 1 truncate nothing. Top-p keeps the likeliest tokens up to and including the one that brings
    their sum to top_p (Holtzman et al. 2020, arXiv 1904.09751); ties at the k-th logit are all kept.
    """
    logits_BV = logits_BV.float() / temperature
    if 0 < top_k < logits_BV.shape[-1]:
        kth_B1 = logits_BV.topk(top_k, dim=-1).values[:, -1:]
        logits_BV = logits_BV.masked_fill(logits_BV < kth_B1, float("-inf"))
    if top_p < 1:
        sorted_BV, order_BV = logits_BV.sort(dim=-1, descending=True, stable=True)
        probs_BV = sorted_BV.softmax(dim=-1)
        before_BV = probs_BV.cumsum(dim=-1) - probs_BV
        dropped_BV = torch.zeros_like(before_BV, dtype=torch.bool).scatter(-1, order_BV, before_BV >= top_p)
        logits_BV = logits_BV.masked_fill(dropped_BV, float("-inf"))
    return logits_BV.log_softmax(dim=-1)


def inverse_cdf(log_probs_BV: Tensor, uniform_B: Tensor) -> Tensor:
    """The token whose slice of the cumulated distribution holds the uniform number, tokens_B.

    Sums in float64 and scales by the total, so that a token of probability 0 is never drawn.
    """
    cumulated_BV = log_probs_BV.double().exp().cumsum(dim=-1)
    threshold_B1 = (uniform_B * cumulated_BV[:, -1]).unsqueeze(-1)
    return torch.searchsorted(cumulated_BV, threshold_B1, right=True).squeeze(-1)


def gather(values_BV: Tensor, tokens_B: Tensor) -> Tensor:
    """values[b, tokens[b]], values_B."""
    return values_BV.gather(-1, tokens_B.unsqueeze(-1)).squeeze(-1)
