"""What the training loop asks of a method; the loop is blind to the algorithm.

A method says how each response token counts (`weights`), from rewards where it has any, and what the loss of a token is
(`token_loss`); the step's loss is Σ weight · token loss. Legend: B rows, K trained positions, V vocabulary.
"""

from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor
from transformers import PreTrainedModel

from thicket.sampling.rollouts import Sequences


@dataclass(frozen=True)
class Rows:
    """Rows of a rollout batch, as a method sees them."""

    sequences: Sequences
    domains: list[str]
    """The domain of each row."""
    rewards_B: Tensor
    advantages_B: Tensor
    """Zero until the method has said otherwise."""
    old_log_probs_BK: Tensor | None = None
    """log π_old of the targets, where several updates are made on one rollout batch."""


@dataclass(frozen=True)
class TokenLoss:
    """Loss of each token, with figures for the progress line and the curves."""

    loss_BK: Tensor
    figures: dict[str, Tensor]
    """Name → a value for each token, figure_BK; the mean over response tokens is shown."""


class Method(Protocol):
    """A way to train on a policy's own rollouts."""

    needs_rewards: bool
    """Whether responses are verified while training (scores on selection items always are)."""
    forward_passes: float
    """Forward passes over the trained tokens beside the policy's own, for the count of FLOPs."""

    def advantages(self, rewards_PG: Tensor) -> Tensor:
        """Advantage of each response, advantages_PG."""
        ...

    def weights(self, mask_BK: Tensor) -> Tensor:
        """Weight of each token in the loss of an update over B rows, weights_BK."""
        ...

    def token_loss(self, logits_BKV: Tensor, rows: Rows) -> TokenLoss:
        """Loss of each token of some of the update's rows."""
        ...


Models = dict[str, PreTrainedModel]
MethodConfig = Any
