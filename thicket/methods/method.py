"""What the training loop asks of a method; the loop is blind to the algorithm.

A method says what each response token's advantage is (`prepare`), how it counts (`weights`), and what the loss comes to
(`update`): Σ weight · token loss. Legend: B rows, K trained positions, V vocabulary.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from thicket.models.head import hidden_states
from thicket.ops.policy_gradient import top_share
from thicket.sampling.reading import trained_logits
from thicket.sampling.rollouts import Sequences, logits_at


@dataclass(frozen=True)
class Rows:
    """Rows of a rollout batch, as a method sees them: the responses to a prompt follow one another."""

    sequences: Sequences
    domains: list[str]
    """The domain of each row."""
    rewards_B: Tensor
    longest_B: Tensor
    """Tokens of the longest response that the row's domain allows."""
    advantages_BK: Tensor
    """Zero until the method has said otherwise."""
    old_log_probs_BK: Tensor | None = None
    """log π_old of the targets, where several updates are made on one rollout batch."""
    own_B: Tensor | None = None
    """1.0 where the policy itself answered, 0.0 where another model did; None: it did everywhere."""
    kept: dict[str, Tensor] = field(default_factory=dict)
    """What the method itself wants to find again in an update: name → a value for each token, BK."""

    def rows(self, index_N: Tensor) -> "Rows":
        """Some of the rows, cut to the longest of them."""
        old, sequences = self.old_log_probs_BK, self.sequences.rows(index_N)
        kept = len(sequences.positions_K)
        return Rows(
            sequences=sequences,
            domains=[self.domains[i] for i in index_N.tolist()],
            rewards_B=self.rewards_B[index_N],
            longest_B=self.longest_B[index_N],
            advantages_BK=self.advantages_BK[index_N, :kept],
            old_log_probs_BK=None if old is None else old[index_N, :kept],
            own_B=None if self.own_B is None else self.own_B[index_N],
            kept={name: value_BK[index_N, :kept] for name, value_BK in self.kept.items()},
        )

    def picked(self, chosen_BK: Tensor) -> "Rows":
        """Some of the trained positions, as one row; what is said of whole rows is said no more."""
        chosen, old = chosen_BK > 0, self.old_log_probs_BK
        return replace(
            self,
            sequences=self.sequences.picked(chosen_BK),
            domains=[],
            advantages_BK=self.advantages_BK[chosen].unsqueeze(0),
            old_log_probs_BK=None if old is None else old[chosen].unsqueeze(0),
            kept={name: value_BK[chosen].unsqueeze(0) for name, value_BK in self.kept.items()},
        )


@dataclass(frozen=True)
class TokenLoss:
    """Loss of each token, with figures for the progress line and the curves."""

    loss_BK: Tensor
    figures: dict[str, Tensor]
    """Name → a value for each token, figure_BK; the mean over response tokens is shown."""


@dataclass(frozen=True)
class Updated:
    """What a forward pass of an update comes to."""

    loss: Tensor
    """Σ weight · token loss, with its gradient."""
    figures: dict[str, Tensor]
    """As those of a token loss."""
    mask_BK: Tensor
    """1.0 at the tokens that the figures are of."""


@dataclass(frozen=True)
class Passes:
    """Passes over the tokens beside the policy's own, each as if over a model of the policy's size: for the FLOPs."""

    prepared: float = 0.0
    """Forward passes over a rollout batch."""
    forward: float = 0.0
    """Forward passes over an update's tokens."""
    trained: float = 0.0
    """Forward and backward passes over an update's tokens."""


def stacked(parts: Sequence[Tensor], columns: int) -> Tensor:
    """Values of parts of a batch's rows, BK; a part that was cut to its longest row has 0 beyond."""
    return torch.cat([torch.nn.functional.pad(part, (0, columns - part.shape[1])) for part in parts])


class Method(Protocol):
    """A way to train on a policy's own rollouts."""

    needs_rewards: bool
    """Whether responses are verified while training (scores on selection items always are)."""
    needs_old: bool
    """Whether several updates on a rollout batch ask for log π_old."""
    rounds: int
    """Most batches of prompts that are sampled to fill one rollout batch with useful groups."""
    passes: Passes
    frozen: list[PreTrainedModel]
    """Models that the method reads; they go to the device and are neither trained nor saved."""
    critic: nn.Module | None
    """A module that is trained beside the policy."""
    critic_rate: float
    """The critic's learning rate as a multiple of the policy's."""

    def useful(self, correct_PG: Tensor) -> Tensor:
        """Whether a prompt's responses are worth training on, useful_P."""
        ...

    state: dict[str, list[float]]
    """Figures that outlive an update, and a run that is broken off."""

    def answers(self, domain: str, places: Sequence[int]) -> list[str | None]:
        """Who answers prompts of a domain, given the place of each among all that are dealt; None: the policy."""
        ...

    def reader(self, name: str) -> PreTrainedModel:
        """A model that answers in the policy's place."""
        ...

    def begin(self, policy: PreTrainedModel) -> None:
        """Called before each rollout batch, with the policy that will make it."""
        ...

    def prepare(self, rows: Rows, micro_batch: int) -> Rows:
        """The rollout batch with the advantage of each token."""
        ...

    def weights(self, rows: Rows) -> Tensor:
        """Weight of each token in the loss of an update over the rows, weights_BK."""
        ...

    def update(self, policy: PreTrainedModel, rows: Rows, weights_BK: Tensor) -> Updated:
        """The weighted loss of some of an update's rows."""
        ...


class OnRollouts:
    """What most methods share: one batch of prompts, nothing beside the policy."""

    needs_rewards = True
    needs_old = True
    rounds = 1
    critic: nn.Module | None = None
    critic_rate = 1.0

    def __init__(self) -> None:
        self.frozen: list[PreTrainedModel] = []
        self.passes = Passes()
        self.state: dict[str, list[float]] = {}

    def answers(self, domain: str, places: Sequence[int]) -> list[str | None]:
        return [None] * len(places)

    def reader(self, name: str) -> PreTrainedModel:
        raise NotImplementedError

    def useful(self, correct_PG: Tensor) -> Tensor:
        return torch.ones_like(correct_PG[:, 0], dtype=torch.bool)

    def begin(self, policy: PreTrainedModel) -> None:
        pass

    def prepare(self, rows: Rows, micro_batch: int) -> Rows:
        return rows


class OnLogits(OnRollouts, ABC):
    """What methods share whose loss is one of a token's logits."""

    share = 1.0
    """Of each response's tokens: those that are trained on, the ones of the highest divergence."""

    @abstractmethod
    def token_loss(self, logits_BKV: Tensor, rows: Rows) -> TokenLoss:
        """Loss of each token of some of the update's rows."""

    def divergence(self, logits_BKV: Tensor, rows: Rows) -> Tensor:
        """What decides which tokens an update trains on where `share` is below 1, divergence_BK."""
        return torch.zeros_like(rows.advantages_BK)

    def update(self, policy: PreTrainedModel, rows: Rows, weights_BK: Tensor) -> Updated:
        logits_BKV, rows, weights_BK = self._trained(policy, rows, weights_BK)
        token = self.token_loss(logits_BKV, rows)
        return Updated((token.loss_BK * weights_BK).sum(), token.figures, rows.sequences.mask_BK)

    def _trained(self, policy: PreTrainedModel, rows: Rows, weights_BK: Tensor) -> tuple[Tensor, Rows, Tensor]:
        """The logits that are trained, with the rows and weights that they belong to.

        Of the tokens of the highest divergence alone, where the method wants no others: the trunk is read once, and the
        head once for all tokens, without a gradient, and again for those.
        """
        if self.share == 1:
            return trained_logits(policy, rows.sequences), rows, weights_BK
        hidden_BLH = hidden_states(policy, rows.sequences.ids_BL)
        with torch.no_grad():
            divergence_BK = self.divergence(logits_at(policy, rows.sequences, hidden_BLH), rows)
            chosen_BK = top_share(divergence_BK, rows.sequences.mask_BK, self.share)
        picked = rows.picked(chosen_BK)
        return logits_at(policy, picked.sequences, hidden_BLH), picked, weights_BK[chosen_BK > 0].unsqueeze(0)
