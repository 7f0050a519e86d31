"""PPO: proximal policy optimisation with a critic (Schulman et al. 2017, arXiv 1707.06347).

Signal: a verifier's reward at the last token, less what a critic expected. Advantages by GAE(γ, λ), whitened over the
batch. Loss: GRPO's clipped objective as a mean over tokens, and beside it the critic's ½(V − R̂)², R̂ = V_old + Â_GAE.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from thicket import ranks
from thicket.config.policy_gradient import Ppo as Config
from thicket.methods.method import Passes, Rows, TokenLoss, by_length, stacked
from thicket.methods.policy_gradient import ClippedPolicyGradient, Load
from thicket.models.lora import adapt
from thicket.ops.policy_gradient import clipped_value_loss, generalised_advantages, token_mean_weights, whitened
from thicket.sampling.rollouts import Sequences

WHITENING_EPSILON = 1e-8
"""Keeps advantages finite where all of a batch are equal."""


class Critic(nn.Module):
    """The start's trunk with a head of one number, the value of the state before each token; it begins at 0."""

    def __init__(self, start: PreTrainedModel):
        super().__init__()
        self.trunk = start.base_model
        self.head = nn.Linear(start.config.get_text_config().hidden_size, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.train()

    def forward(self, batch: Sequences) -> Tensor:
        """values_BK; of picked positions, values_1N."""
        hidden_BLH = self.trunk(input_ids=batch.ids_BL, use_cache=False).last_hidden_state
        if batch.row_N is None:
            return self.head(hidden_BLH[:, batch.positions_K]).squeeze(-1).float()
        return self.head(hidden_BLH[batch.row_N, batch.positions_K]).squeeze(-1).float().unsqueeze(0)


class Ppo(ClippedPolicyGradient):
    """The method `ppo`."""

    config: Config

    def __init__(self, config: Config, load: Load):
        super().__init__(config, load)
        start = load()
        if config.lora is not None:
            adapt(start, config.lora, seed=0)  # in place: the trunk holds the adapters
        self.critic = Critic(start)
        self.critic_rate = config.critic_lr / config.optimizer.lr
        self.passes = Passes(prepared=1.0, forward=self.passes.forward, trained=1.0)

    def prepare(self, rows: Rows, micro_batch: int) -> Rows:
        mask_BK = rows.sequences.mask_BK
        index_B = torch.arange(len(rows.sequences), device=mask_BK.device)

        def read(mine: Sequence[Tensor]) -> list[Tensor]:
            return [ranks.sent(self._values(rows.sequences.rows(part))) for part in mine]

        with torch.no_grad():
            parts = ranks.spread(index_B.split(micro_batch), read)
        values_BK = stacked(parts, mask_BK.shape[1]).to(mask_BK.device) * mask_BK
        last_BK = mask_BK * (mask_BK.cumsum(dim=1) == mask_BK.sum(dim=1, keepdim=True))
        rewards_BK = last_BK * rows.rewards_B.unsqueeze(1)
        advantages_BK = generalised_advantages(rewards_BK, values_BK, mask_BK, self.config.discount, self.config.trace)
        kept = {"values": values_BK, "returns": values_BK + advantages_BK}
        return replace(rows, advantages_BK=whitened(advantages_BK, mask_BK, WHITENING_EPSILON), kept=kept)

    def _values(self, batch: Sequences) -> Tensor:
        assert self.critic is not None
        return self.critic(batch)

    def in_order(self, rows: Rows) -> Tensor:
        """All rows: the critic learns from each."""
        return by_length(rows, self.config.group)

    def weights(self, rows: Rows) -> Tensor:
        return token_mean_weights(rows.sequences.mask_BK)

    def token_loss(self, policy: PreTrainedModel, hidden_BKH: Tensor, rows: Rows) -> TokenLoss:
        of_policy = super().token_loss(policy, hidden_BKH, rows)
        values_BK = self._values(rows.sequences)
        old_BK, returns_BK = rows.kept["values"], rows.kept["returns"]
        of_critic_BK = clipped_value_loss(values_BK, old_BK, returns_BK, self.config.value_clip)
        figures = {**of_policy.figures, "value_loss": of_critic_BK.detach()}
        return TokenLoss(of_policy.loss_BK + of_critic_BK, figures)
