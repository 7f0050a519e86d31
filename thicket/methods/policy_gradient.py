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
from thicket.methods.method import OnLogits, Passes, Rows, TokenLoss
from thicket.ops.divergence import jensen_shannon, k3
from thicket.ops.log_probs import entropy, token_log_probs
from thicket.ops.policy_gradient import clipped_policy_loss, divergence_weights
from thicket.sampling.reading import trained_logits

Load = Callable[[], PreTrainedModel]
"""Loads the model that the run starts from, anew each time."""


class ClippedPolicyGradient(OnLogits):
    """The common part of every recipe."""

    def __init__(self, config: PolicyGradient, load: Load):
        super().__init__()
        self.config = config
        self.share = config.top.share
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

    def token_loss(self, logits_BKV: Tensor, rows: Rows) -> TokenLoss:
        log_probs_BKV = self._tempered(logits_BKV)
        log_probs_BK = token_log_probs(log_probs_BKV, rows.sequences.targets_BK)
        # With one update a batch the policy is the old one: the ratio is 1 and carries the gradient.
        old_BK = log_probs_BK.detach() if rows.old_log_probs_BK is None else rows.old_log_probs_BK
        figures = {"entropy": entropy(log_probs_BKV.detach())}
        advantages_BK = rows.advantages_BK
        if self.config.weighting.type != "none":
            weight_BK = self._weight(log_probs_BKV.detach(), log_probs_BK.detach() - old_BK, rows)
            figures["weight"] = weight_BK
            advantages_BK = advantages_BK * weight_BK
        loss_BK = self.surrogate(log_probs_BK, old_BK, advantages_BK, rows)
        if self.config.kl > 0:
            assert self.start is not None
            start_BK = token_log_probs(self._log_probs_of(self.start, rows), rows.sequences.targets_BK)
            penalty_BK = k3(start_BK - log_probs_BK)
            loss_BK = loss_BK + self.config.kl * penalty_BK
            figures["kl"] = penalty_BK.detach()
        return TokenLoss(loss_BK, figures)

    def surrogate(self, log_probs_BK: Tensor, old_BK: Tensor, advantages_BK: Tensor, rows: Rows) -> Tensor:
        """The clipped objective of each token, to be minimised, loss_BK."""
        return clipped_policy_loss(log_probs_BK, old_BK, advantages_BK, self.config.clip, self.high)

    def divergence(self, logits_BKV: Tensor, rows: Rows) -> Tensor:
        log_probs_BKV = self._tempered(logits_BKV)
        log_probs_BK = token_log_probs(log_probs_BKV, rows.sequences.targets_BK)
        top = self.config.top
        if top.against == "old":
            old_BK = rows.old_log_probs_BK
            assert old_BK is not None  # the config sees to it
            return self._divergence(top.divergence, log_probs_BKV, log_probs_BK - old_BK, self.old, rows)
        assert self.start is not None
        start_BKV = self._log_probs_of(self.start, rows)
        if top.divergence == "js":
            return jensen_shannon(log_probs_BKV, start_BKV)
        # The tokens were drawn from the policy: k3 estimates KL(π_θ ‖ π_start).
        return k3(token_log_probs(start_BKV, rows.sequences.targets_BK) - log_probs_BK)

    def _weight(self, log_probs_BKV: Tensor, log_ratio_BK: Tensor, rows: Rows) -> Tensor:
        weighting = self.config.weighting
        moved_BK = self._divergence(weighting.divergence, log_probs_BKV, log_ratio_BK, self.old, rows)
        alpha = weighting.alpha if weighting.type == "high_kl" else -weighting.alpha
        return divergence_weights(moved_BK, alpha, weighting.scale)

    def _divergence(
        self, kind: Divergence, log_probs_BKV: Tensor, log_ratio_BK: Tensor, old: PreTrainedModel | None, rows: Rows
    ) -> Tensor:
        """How far the policy is from the one that made the rollouts, divergence_BK."""
        if kind == "k3":
            return k3(log_ratio_BK)  # r = π_θ/π_old at y ~ π_old: estimates KL(π_old ‖ π_θ)
        assert old is not None
        return jensen_shannon(log_probs_BKV, self._log_probs_of(old, rows))

    def _tempered(self, logits_BKV: Tensor) -> Tensor:
        return (logits_BKV / self.config.temperature).log_softmax(dim=-1)

    @torch.no_grad()
    def _log_probs_of(self, model: PreTrainedModel, rows: Rows) -> Tensor:
        return self._tempered(trained_logits(model, rows.sequences))
