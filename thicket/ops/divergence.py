"""Divergences between next-token distributions over the full vocabulary, in nats.

Legend: B rows, T positions, V vocabulary.
"""

import math

import torch
from torch import Tensor


def reverse_kl(student_log_probs_BTV: Tensor, teacher_log_probs_BTV: Tensor) -> Tensor:
    """KL(π_student ‖ π_teacher) = Σ_v p_S (log p_S − log p_T), kl_BT (arXiv 2606.19348 eq. 29, one teacher).

    Its gradient on the student's logits is p_S ⊙ (log p_S − log p_T − KL).
    """
    return (student_log_probs_BTV.exp() * (student_log_probs_BTV - teacher_log_probs_BTV)).sum(dim=-1)


def jensen_shannon(log_p_BTV: Tensor, log_q_BTV: Tensor) -> Tensor:
    """½KL(p ‖ m) + ½KL(q ‖ m) with m = (p + q)/2, js_BT: between 0 and log 2 (Lin 1991; arXiv 2603.22446).

    As Σ_v m f(x) with x = ½ log(p/q) and f(x) = x tanh x − log cosh x, the same sum in other words: p = m (1 + tanh x)
    and q = m (1 − tanh x). No term is below 0, in floating point too, so none is raised to 0; equal distributions give
    exactly 0, and nearly equal ones some 1e-14, where the difference of two KLs would be rounding alone.
    """
    half_BTV = log_ratio(log_p_BTV, log_q_BTV) / 2
    # Far beyond where f is log 2 to the last digit, and where sinh² would overflow.
    reach = -math.log(torch.finfo(half_BTV.dtype).eps)
    half_BTV = half_BTV.clamp(-reach, reach)
    log_cosh_BTV = half_BTV.sinh().square().log1p() / 2
    m_BTV = (log_p_BTV.exp() + log_q_BTV.exp()) / 2
    return (m_BTV * (half_BTV * half_BTV.tanh() - log_cosh_BTV)).sum(dim=-1)


def log_ratio(log_p_BTV: Tensor, log_q_BTV: Tensor) -> Tensor:
    """log(p/q), and 0 where neither has the token."""
    return torch.where(log_p_BTV == log_q_BTV, 0.0, log_p_BTV - log_q_BTV)


def k3(log_ratio_BT: Tensor) -> Tensor:
    """r − 1 − log r with r = π_reference/π at tokens drawn from π: unbiased for KL(π ‖ π_reference), never negative.

    Source: J. Schulman 2020, "Approximating KL divergence". `log_ratio_BT` is log π_reference − log π.
    """
    return log_ratio_BT.expm1() - log_ratio_BT  # exp() − 1 loses all digits where the policies are close
