"""GRPO: group relative policy optimisation (Shao et al. 2024, arXiv 2402.03300).

Signal: a verifier's reward for a whole response, against the other responses to the same prompt.
Loss: −(1/B) Σ_i (1/|o_i|) Σ_t min(r Â_i, clip(r, 1−ε, 1+ε) Â_i) + β·k3, r = π_θ/π_old; Â_i = (R_i − mean)/(std + 1e-6)
over the G responses of a prompt. The policy is the tempered one that the rollouts were drawn from.
"""

from dataclasses import replace

from torch import Tensor

from thicket.config.policy_gradient import StandardisedGradient
from thicket.methods.method import Rows
from thicket.methods.policy_gradient import ClippedPolicyGradient
from thicket.ops.policy_gradient import group_advantages, sequence_mean_weights


class Grpo(ClippedPolicyGradient):
    """The method `grpo`, and the group baseline of those that differ from it in one thing or two."""

    config: StandardisedGradient

    def prepare(self, rows: Rows, micro_batch: int) -> Rows:
        advantages_PG = self.advantages(rows.rewards_B.view(-1, self.config.group))
        advantages_BK = advantages_PG.flatten().unsqueeze(1) * rows.sequences.mask_BK
        return replace(rows, advantages_BK=advantages_BK)

    def advantages(self, rewards_PG: Tensor) -> Tensor:
        """Advantage of each response, advantages_PG."""
        return group_advantages(rewards_PG, self.config.advantage_epsilon)

    def weights(self, rows: Rows) -> Tensor:
        return sequence_mean_weights(rows.sequences.mask_BK)
