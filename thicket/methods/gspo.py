"""GSPO: group sequence policy optimisation (Zheng et al. 2025, arXiv 2507.18071).

What differs from GRPO: the ratio is the whole response's, s_i = (π_θ(y)/π_old(y))^{1/|y|}, and is clipped as such:
−(1/B) Σ_i min(s_i Â_i, clip(s_i, 1−ε, 1+ε_high) Â_i). Every token of a response gets the same loss.
"""

from torch import Tensor

from thicket.methods.grpo import Grpo
from thicket.methods.method import Rows
from thicket.ops.policy_gradient import clipped_policy_loss, sequence_log_ratio


class Gspo(Grpo):
    """The method `gspo`."""

    def surrogate(self, log_probs_BK: Tensor, old_BK: Tensor, advantages_BK: Tensor, rows: Rows) -> Tensor:
        log_ratio_B = sequence_log_ratio(log_probs_BK, old_BK, rows.sequences.mask_BK)
        ratio_BK = log_ratio_B.unsqueeze(1).expand_as(log_probs_BK)
        return clipped_policy_loss(ratio_BK, ratio_BK.new_zeros(()), advantages_BK, self.config.clip, self.high)
