"""Divergences between next-token distributions over the full vocabulary, in nats.

Legend: B rows, T positions, V vocabulary.
"""

from torch import Tensor


def reverse_kl(student_log_probs_BTV: Tensor, teacher_log_probs_BTV: Tensor) -> Tensor:
    """KL(π_student ‖ π_teacher) = Σ_v p_S (log p_S − log p_T), kl_BT (arXiv 2606.19348 eq. 29, one teacher).

    Its gradient on the student's logits is p_S ⊙ (log p_S − log p_T − KL).
    """
    return (student_log_probs_BTV.exp() * (student_log_probs_BTV - teacher_log_probs_BTV)).sum(dim=-1)


def k3(log_ratio_BT: Tensor) -> Tensor:
    """r − 1 − log r with r = π_reference/π at tokens drawn from π: unbiased for KL(π ‖ π_reference), never negative.

    Source: J. Schulman 2020, "Approximating KL divergence". `log_ratio_BT` is log π_reference − log π.
    """
    return log_ratio_BT.exp() - 1 - log_ratio_BT
