"""DAPO: decoupled clip and dynamic sampling policy optimisation (Yu et al. 2025, arXiv 2503.14476).

What differs from GRPO: Loss −(1/Σ|o_i|) Σ_i Σ_t min(r Â, clip(r, 1−ε_low, 1+ε_high) Â), a mean over all tokens with the
wider upper clip; groups whose responses all earn the same (all right, or all wrong) are replaced by further prompts;
responses that the window cut off are left out, and those near its end may be punished (both by the training loop, from
the config). No KL penalty.
"""

from torch import Tensor

from thicket.config.policy_gradient import Dapo as Config
from thicket.methods.grpo import Grpo
from thicket.methods.method import Rows
from thicket.methods.policy_gradient import Load
from thicket.ops.policy_gradient import token_mean_weights


class Dapo(Grpo):
    """The method `dapo`."""

    def __init__(self, config: Config, load: Load):
        super().__init__(config, load)
        self.rounds = config.sampling_rounds

    def useful(self, earned_PG: Tensor) -> Tensor:
        if self.rounds == 1:
            return super().useful(earned_PG)
        return earned_PG.amin(dim=1) < earned_PG.amax(dim=1)

    def weights(self, rows: Rows) -> Tensor:
        return token_mean_weights(rows.sequences.mask_BK)
