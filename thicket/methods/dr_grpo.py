"""Dr. GRPO: GRPO done right (Liu et al. 2025, arXiv 2503.20783).

What differs from GRPO: Â_i = R_i − mean, without the standard deviation (which favours prompts that are nearly always
or nearly never solved), and the sum over tokens is divided by a constant, the longest response that is allowed, instead
of the response's own length (which favours short right and long wrong responses).
"""

from torch import Tensor

from thicket.methods.grpo import Grpo
from thicket.methods.method import Rows
from thicket.ops.policy_gradient import centred_advantages, constant_length_weights


class DrGrpo(Grpo):
    """The method `dr_grpo`."""

    def advantages(self, rewards_PG: Tensor) -> Tensor:
        return centred_advantages(rewards_PG)

    def weights(self, rows: Rows) -> Tensor:
        return constant_length_weights(rows.sequences.mask_BK, rows.longest_B)
