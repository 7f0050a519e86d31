"""What the training loop asks of a method; the loop is blind to the algorithm.

A method says what each response token's advantage is (`prepare`), how it counts (`weights`), and what the loss comes to
(`update`): Σ weight · token loss. Legend: B rows, K trained positions, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from thicket import ranks
from thicket.sampling.rollouts import Sequences


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
    behaviour_BK: Tensor | None = None
    """Log-probability of the targets under the distribution that the sampler drew them from."""
    own_B: Tensor | None = None
    """1.0 where the policy itself answered, 0.0 where another model did; None: it did everywhere."""
    places_B: Tensor | None = None
    """The place of each row in its rollout batch."""
    kept: dict[str, Tensor] = field(default_factory=dict)
    """What the method itself wants to find again in an update: name → a value for each token, BK."""

    def rows(self, index_N: Tensor) -> "Rows":
        """Some of the rows, cut to the longest of them."""
        old, behaviour, sequences = self.old_log_probs_BK, self.behaviour_BK, self.sequences.rows(index_N)
        kept = len(sequences.positions_K)
        return Rows(
            sequences=sequences,
            domains=[self.domains[i] for i in index_N.tolist()],
            rewards_B=self.rewards_B[index_N],
            longest_B=self.longest_B[index_N],
            advantages_BK=self.advantages_BK[index_N, :kept],
            old_log_probs_BK=None if old is None else old[index_N, :kept],
            behaviour_BK=None if behaviour is None else behaviour[index_N, :kept],
            own_B=None if self.own_B is None else self.own_B[index_N],
            places_B=None if self.places_B is None else self.places_B[index_N],
            kept={name: value_BK[index_N, :kept] for name, value_BK in self.kept.items()},
        )

    def picked(self, chosen_BK: Tensor) -> "Rows":
        """Some of the trained positions, as one row; what is said of whole rows is said no more."""
        chosen, old, behaviour = chosen_BK > 0, self.old_log_probs_BK, self.behaviour_BK
        return replace(
            self,
            sequences=self.sequences.picked(chosen_BK),
            domains=[],
            advantages_BK=self.advantages_BK[chosen].unsqueeze(0),
            old_log_probs_BK=None if old is None else old[chosen].unsqueeze(0),
            behaviour_BK=None if behaviour is None else behaviour[chosen].unsqueeze(0),
            kept={name: value_BK[chosen].unsqueeze(0) for name, value_BK in self.kept.items()},
        )


@dataclass(frozen=True)
class TokenLoss:
    """Loss of each token, with figures for the progress line and the curves."""

    loss_BK: Tensor
    figures: dict[str, Tensor]
    """Name → a value for each token, figure_BK; the mean over the response tokens that are trained on is shown."""


@dataclass(frozen=True)
class Updated:
    """What a forward pass of an update comes to."""

    loss: Tensor
    """Σ weight · token loss, with its gradient."""
    figures: dict[str, Tensor]
    """As those of a token loss."""
    mask_BK: Tensor
    """1.0 at the tokens that the figures are of."""
    divergence_B: Tensor | None = None
    """Mean divergence of each row's tokens from the teachers, where there are any."""


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


def by_length(rows: Rows, group: int) -> Tensor:
    """Prompts in the order of their longest row, so that a micro-batch has little padding, index_B; the responses to a
    prompt stay together, so that it is read once for them."""
    longest_P = rows.sequences.lengths_B.view(-1, group).amax(dim=1)
    first_P1 = longest_P.argsort(stable=True).unsqueeze(1) * group
    return (first_P1 + torch.arange(group, device=first_P1.device)).flatten()


def shares(rows: int, group: int, updates: int) -> list[Tensor]:
    """The rows of each update on a rollout batch, index_N each: prompts dealt out in turn, so that every update sees
    every domain."""
    prompts = rows // group
    of_update = [range(update, prompts, updates) for update in range(min(updates, prompts))]
    return [torch.tensor([prompt * group + g for prompt in some for g in range(group)]) for some in of_update]


def micro_batches(index_N: Tensor, size: int) -> list[Tensor]:
    """Runs of at most `size` rows: those that this process goes through, of several that have as many each."""
    return ranks.own(index_N.split(ranks.even(len(index_N), size)))


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

    def useful(self, earned_PG: Tensor) -> Tensor:
        """Whether a prompt's responses, of which each verdict earned so much, are worth training on, useful_P."""
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

    def in_order(self, rows: Rows) -> Tensor:
        """The rows that give an update a gradient, in the order in which it goes through them, index_N."""
        ...

    def update(self, policy: PreTrainedModel, rows: Rows, weights_BK: Tensor) -> Updated:
        """The weighted loss of some of an update's rows."""
        ...

    def updated(self) -> None:
        """Called when the processes have gone through all rows of an update, each through its share."""
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

    def useful(self, earned_PG: Tensor) -> Tensor:
        return torch.ones_like(earned_PG[:, 0], dtype=torch.bool)

    def begin(self, policy: PreTrainedModel) -> None:
        pass

    def prepare(self, rows: Rows, micro_batch: int) -> Rows:
        return rows

    def in_order(self, rows: Rows) -> Tensor:
        return torch.arange(len(rows.domains), device=rows.rewards_B.device)

    def updated(self) -> None:
        pass
