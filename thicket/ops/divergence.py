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

    Of two near-identical distributions it can come out as 0 or, by rounding, a little below: that is raised to 0.
    """
    log_m_BTV = torch.logaddexp(log_p_BTV, log_q_BTV) - math.log(2)
    p_BT = (log_p_BTV.exp() * (log_p_BTV - log_m_BTV)).sum(dim=-1)
    q_BT = (log_q_BTV.exp() * (log_q_BTV - log_m_BTV)).sum(dim=-1)
    return (0.5 * (p_BT + q_BT)).clamp(min=0)


def k3(log_ratio_BT: Tensor) -> Tensor:
    """r − 1 − log r with r = π_reference/π at tokens drawn from π: unbiased for KL(π ‖ π_reference), never negative.

    Source: J. Schulman 2020, "Approximating KL divergence". `log_ratio_BT` is log π_reference − log π.
    """
    return log_ratio_BT.expm1() - log_ratio_BT  # exp() − 1 loses all digits where the policies are close
