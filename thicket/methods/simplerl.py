"""SimpleRL-Zoo's GRPO (Zeng et al. 2025, arXiv 2503.18892).

What differs from GRPO: the loss is the mean over all tokens of the batch, so that long responses count more, and a
small KL penalty (β = 1e-4) holds the policy to its start.
"""

from torch import Tensor

from thicket.methods.grpo import Grpo
from thicket.methods.method import Rows
from thicket.ops.policy_gradient import token_mean_weights


class Simplerl(Grpo):
    """The method `simplerl`."""

    def weights(self, rows: Rows) -> Tensor:
        return token_mean_weights(rows.sequences.mask_BK)
