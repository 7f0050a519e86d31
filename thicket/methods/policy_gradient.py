"""What the policy-gradient family shares: −min(r Â, clip(r) Â) on tempered log-probabilities, with what may go with it.

With it may go a KL penalty to the start policy, advantages weighted by divergence, and training on the tokens of the
highest divergence alone (arXiv 2603.22446). A recipe says its advantages, its weights and its ratio.
"""

from collections.abc import Callable
from copy import deepcopy

import torch
from torch import Tensor
from transformers import PreTrainedModel

from thicket.config.policy_gradient import Divergence, PolicyGradient
from thicket.methods.method import OnRollouts, Passes, Rows, TokenLoss, Updated, by_length
from thicket.ops.divergence import jensen_shannon, k3
from thicket.ops.policy_gradient import clipped_policy_loss, divergence_weights, importance_weights, top_share
from thicket.sampling.reading import all_log_probs, target_log_probs, trained_hidden

Load = Callable[[], PreTrainedModel]
"""Loads the model that the run starts from, anew each time."""


class ClippedPolicyGradient(OnRollouts):
    """The common part of every recipe."""

    def __init__(self, config: PolicyGradient, load: Load):
        super().__init__()
        self.config = config
        self.high = config.clip if config.clip_high is None else config.clip_high
        self.start = self._frozen(load) if config.start_readings else None
        self.old: PreTrainedModel | None = None
        self.passes = Passes(forward=float(config.start_readings + config.old_readings))

    def _frozen(self, load: Load) -> PreTrainedModel:
        self.frozen.append(load().requires_grad_(False))
        return self.frozen[-1]

    def begin(self, policy: PreTrainedModel) -> None:
        """Keeps the policy that makes the rollouts, where whole distributions of it will be asked for."""
        if not self.config.old_readings:
            return
        if self.old is None:
            self.old = deepcopy(policy).requires_grad_(False).eval()
        for kept, now in zip(self.old.parameters(), policy.parameters(), strict=True):
            kept.data.copy_(now.data)

    def in_order(self, rows: Rows) -> Tensor:
        """As `by_length` says; without a penalty, only rows whose advantage gives them a gradient."""
        order_B = by_length(rows, self.config.group)
        moving_B = (rows.advantages_BK[order_B] != 0).any(dim=1)
        if self.config.kl > 0:
            return order_B
        # One prompt at least, so that the optimizer has its step.
        return order_B[moving_B] if moving_B.any() else order_B[: self.config.group]

    def update(self, policy: PreTrainedModel, rows: Rows, weights_BK: Tensor) -> Updated:
        hidden_BKH = trained_hidden(policy, rows.sequences)
        if self.config.top.share < 1:
            with torch.no_grad():
                moved_BK = self.moved(policy, hidden_BKH, rows)
            chosen_BK = top_share(moved_BK, rows.sequences.mask_BK, self.config.top.share)
            hidden_BKH, weights_BK = (of_BK[chosen_BK > 0].unsqueeze(0) for of_BK in (hidden_BKH, weights_BK))
            rows = rows.picked(chosen_BK)
        token = self.token_loss(policy, hidden_BKH, rows)
        return Updated((token.loss_BK * weights_BK).sum(), token.figures, rows.sequences.mask_BK)

    def token_loss(self, policy: PreTrainedModel, hidden_BKH: Tensor, rows: Rows) -> TokenLoss:
        """Loss of each token of some of the update's rows, of which the policy has made these hidden states."""
        log_probs_BK, entropy_BK = self._targets(policy, hidden_BKH, rows)
        # With one update a batch the policy is the old one: the ratio is 1 and carries the gradient.
        old_BK = log_probs_BK.detach() if rows.old_log_probs_BK is None else rows.old_log_probs_BK
        figures, advantages_BK = {"entropy": entropy_BK}, rows.advantages_BK
        if self.config.weighting.type != "none":
            figures["weight"] = self._weight(policy, hidden_BKH, rows)
            advantages_BK = advantages_BK * figures["weight"]
        if self.config.importance_cap is not None:
            assert rows.behaviour_BK is not None
            figures["importance"] = importance_weights(old_BK - rows.behaviour_BK, self.config.importance_cap)
            advantages_BK = advantages_BK * figures["importance"]
        loss_BK = self.surrogate(log_probs_BK, old_BK, advantages_BK, rows)
        if self.config.kl > 0:
            penalty_BK = k3(self._of_start(rows) - log_probs_BK)
            loss_BK = loss_BK + self.config.kl * penalty_BK
            figures["kl"] = penalty_BK.detach()
        return TokenLoss(loss_BK, figures)

    def surrogate(self, log_probs_BK: Tensor, old_BK: Tensor, advantages_BK: Tensor, rows: Rows) -> Tensor:
        """The clipped objective of each token, to be minimised, loss_BK."""
        return clipped_policy_loss(log_probs_BK, old_BK, advantages_BK, self.config.clip, self.high)

    def _targets(self, model: PreTrainedModel, hidden_BKH: Tensor, rows: Rows) -> tuple[Tensor, Tensor]:
        return target_log_probs(model, hidden_BKH, rows.sequences, self.config.temperature)

    @torch.no_grad()
    def _of_start(self, rows: Rows) -> Tensor:
        """log π_start of the targets, start_BK."""
        assert self.start is not None
        return self._targets(self.start, trained_hidden(self.start, rows.sequences), rows)[0]

    def _weight(self, policy: PreTrainedModel, hidden_BKH: Tensor, rows: Rows) -> Tensor:
        weighting = self.config.weighting
        with torch.no_grad():
            moved_BK = self._since_rollouts(weighting.divergence, policy, hidden_BKH, rows)
        alpha = weighting.alpha if weighting.type == "high_kl" else -weighting.alpha
        return divergence_weights(moved_BK, alpha, weighting.scale)

    def moved(self, policy: PreTrainedModel, hidden_BKH: Tensor, rows: Rows) -> Tensor:
        """What decides which tokens are trained on, divergence_BK."""
        top = self.config.top
        if top.against == "old":
            return self._since_rollouts(top.divergence, policy, hidden_BKH, rows)
        if top.divergence == "js":
            return self._jensen_shannon(policy, hidden_BKH, self.start, rows)
        # The tokens were drawn from the policy: k3 estimates KL(π_θ ‖ π_start).
        return k3(self._of_start(rows) - self._targets(policy, hidden_BKH, rows)[0])

    def _since_rollouts(self, kind: Divergence, policy: PreTrainedModel, hidden_BKH: Tensor, rows: Rows) -> Tensor:
        """How far the policy is from the one that made the rollouts, divergence_BK."""
        if kind == "js":
            return self._jensen_shannon(policy, hidden_BKH, self.old, rows)
        assert rows.old_log_probs_BK is not None  # the config sees to it
        # r = π_θ/π_old at y ~ π_old: estimates KL(π_old ‖ π_θ)
        return k3(self._targets(policy, hidden_BKH, rows)[0] - rows.old_log_probs_BK)

    def _jensen_shannon(
        self, policy: PreTrainedModel, hidden_BKH: Tensor, other: PreTrainedModel | None, rows: Rows
    ) -> Tensor:
        assert other is not None
        read = (policy, hidden_BKH), (other, trained_hidden(other, rows.sequences))
        own_BKV, other_BKV = (all_log_probs(*one, self.config.temperature) for one in read)
        return jensen_shannon(own_BKV, other_BKV)
