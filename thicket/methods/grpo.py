"""GRPO: group relative policy optimisation (Shao et al. 2024, arXiv 2402.03300).

Signal: a verifier's reward for a whole response, against the other responses to the same prompt.
Loss: −(1/B) Σ_i (1/|o_i|) Σ_t min(r Â_i, clip(r, 1−ε, 1+ε) Â_i) + β·k3, r = π_θ/π_old; Â_i = (R_i − mean)/(std + 1e-6)
over the G responses of a prompt. The policy is the tempered one that the rollouts were drawn from.
"""

from torch import Tensor
from transformers import PreTrainedModel

from thicket.config.method import PolicyGradient
from thicket.methods.method import Rows, TokenLoss
from thicket.ops.divergence import k3
from thicket.ops.log_probs import entropy, token_log_probs
from thicket.ops.policy_gradient import clipped_policy_loss, group_advantages, sequence_mean_weights
from thicket.sampling.rollouts import logits_of


class Grpo:
    """The method `grpo`."""

    needs_rewards = True

    def __init__(self, config: PolicyGradient, start: PreTrainedModel | None):
        """`start` is the policy that the KL penalty holds to; None where `kl` is 0."""
        self.config, self.start = config, start
        self.forward_passes = 0.0 if start is None else 1.0

    def advantages(self, rewards_PG: Tensor) -> Tensor:
        return group_advantages(rewards_PG, self.config.advantage_epsilon)

    def weights(self, mask_BK: Tensor) -> Tensor:
        return sequence_mean_weights(mask_BK)

    def token_loss(self, logits_BKV: Tensor, rows: Rows) -> TokenLoss:
        targets_BK = rows.sequences.targets_BK
        log_probs_BKV = (logits_BKV / self.config.temperature).log_softmax(dim=-1)
        log_probs_BK = token_log_probs(log_probs_BKV, targets_BK)
        # With one update a batch the policy is the old one: the ratio is 1 and carries the gradient.
        old_BK = log_probs_BK.detach() if rows.old_log_probs_BK is None else rows.old_log_probs_BK
        loss_BK = clipped_policy_loss(log_probs_BK, old_BK, rows.advantages_B, self.config.clip)
        figures = {"entropy": entropy(log_probs_BKV.detach())}
        if self.start is not None:
            start_BK = token_log_probs(self._start_log_probs(rows), targets_BK)
            penalty_BK = k3(start_BK - log_probs_BK)
            loss_BK = loss_BK + self.config.kl * penalty_BK
            figures["kl"] = penalty_BK.detach()
        return TokenLoss(loss_BK, figures)

    def _start_log_probs(self, rows: Rows) -> Tensor:
        import torch

        assert self.start is not None
        with torch.no_grad():
            return (logits_of(self.start, rows.sequences) / self.config.temperature).log_softmax(dim=-1)
