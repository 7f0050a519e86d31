"""What self-distillation asks of a model: its exact expected loss, and the parts of it (SSD, arXiv 2604.01193).

A sample comes from q, the frozen start's distribution at the training temperature T on the kept support S; the loss of
the model p_θ on it is cross-entropy. Legend: B rows, V vocabulary; logarithms in nats.
"""

from dataclasses import dataclass

from torch import Tensor

from thicket.ops.sampling import warped_log_probs


@dataclass(frozen=True)
class Parts:
    """The loss of each row in four parts, whose sum it is."""

    support_B: Tensor
    """−log Σ_S p_θ, support compression: mass outside S costs."""
    head_B: Tensor
    """(1 − T)·H_{1/T}(p_θ|S), the Rényi entropy of order 1/T, head reshaping: T > 1 rewards a flat head, T < 1 a steep
    one; 0 at T = 1."""
    anchor_B: Tensor
    """T·KL(q ‖ p_θ,T|S), the anchor: at the start it is 0, and so is its gradient."""
    constant_B: Tensor
    """T·H(q)."""


def start_log_probs(logits_BV: Tensor, temperature: float, top_k: int, top_p: float) -> Tensor:
    """log q of the start's logits, log_probs_BV in float64: what the sampler keeps, at T; −inf outside S."""
    outside_BV = warped_log_probs(logits_BV, temperature, top_k, top_p).isneginf()
    return (logits_BV.double() / temperature).masked_fill(outside_BV, float("-inf")).log_softmax(dim=-1)


def expected_loss(log_probs_BV: Tensor, target_log_probs_BV: Tensor) -> Tensor:
    """−Σ_v q log p_θ, loss_B; the target is −inf outside S.

    Its gradient on the logits is p_θ − q: zero at the start if T = 1 and S is the whole vocabulary.
    """
    return -_mean(target_log_probs_BV, log_probs_BV)


def parts(log_probs_BV: Tensor, target_log_probs_BV: Tensor, temperature: float) -> Parts:
    """The same loss in its parts; `temperature` is the T that q was sampled at."""
    outside_BV = target_log_probs_BV.isneginf()
    inside_BV = log_probs_BV.masked_fill(outside_BV, float("-inf"))
    kept_B = inside_BV.logsumexp(dim=-1)
    # With p_S = p_θ|S and Z = Σ_S p_S^{1/T}: log Z = (1 − 1/T)·H_{1/T}, so that −T·log Z = (1 − T)·H_{1/T}.
    tempered_BV = (inside_BV - kept_B.unsqueeze(-1)) / temperature
    log_z_B = tempered_BV.logsumexp(dim=-1)
    entropy_B = -_mean(target_log_probs_BV, target_log_probs_BV)
    cross_B = -_mean(target_log_probs_BV, tempered_BV - log_z_B.unsqueeze(-1))
    return Parts(
        support_B=-kept_B,
        head_B=-temperature * log_z_B,
        anchor_B=temperature * (cross_B - entropy_B),
        constant_B=temperature * entropy_B,
    )


def _mean(target_log_probs_BV: Tensor, values_BV: Tensor) -> Tensor:
    """Σ_v q · value over the support, where 0 · −inf counts as 0."""
    outside_BV = target_log_probs_BV.isneginf()
    return (target_log_probs_BV.exp() * values_BV.masked_fill(outside_BV, 0.0)).sum(dim=-1)
