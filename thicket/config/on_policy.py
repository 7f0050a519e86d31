"""What methods have that train weights: on the policy's own rollouts, or on given text."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from thicket.config.fields import Count, Positive, PositiveFloat, Share, Strict
from thicket.config.optimizer import Optimizer


class Lora(Strict):
    """Low-rank adapters in place of full fine-tuning (Hu et al. 2021, arXiv 2106.09685), merged into the artifact."""

    rank: Positive = 16
    """r: the inner dimension of each adapter."""
    alpha: PositiveFloat = 32.0
    """α: an adapter's product is scaled by α/r."""
    dropout: Share = 0.0
    """Dropout on the adapters' inputs."""
    targets: str | list[str] = "all-linear"
    """Names of the linear layers that get an adapter; `all-linear`: every one but the head (of a mixture, its experts
    and router too)."""


class Trained(Strict):
    """What every method has that trains weights by gradients."""

    optimizer: Optimizer
    """AdamW and its schedule."""
    micro_batch: Positive = 64
    """Responses in one forward and backward pass; gradients are summed, so that it changes memory and nothing else."""
    flops: PositiveFloat | None = None
    """Floating-point operations after which the run ends, where its steps are not done before; null: steps alone.
    Scores on the selection items are not counted."""
    lora: Lora | None = None
    """Train low-rank adapters; null: all weights."""

    @model_validator(mode="after")
    def _no_known_end(self) -> "Trained":
        if self.flops is not None and self.optimizer.schedule != "constant":
            raise ValueError(
                "a run with a budget of `flops` has no known last step: `optimizer.schedule` has to be constant"
            )
        return self


class OnPolicy(Trained):
    """What every method has that trains on the policy's own rollouts."""

    prompts: Positive
    """Prompts a rollout batch."""
    group: Positive
    """Responses sampled for each prompt (G)."""
    temperature: PositiveFloat = 1.0
    """Sampling temperature of the rollouts; the policy that is trained is the tempered one."""
    top_k: Count = 0
    """Sample among the k likeliest tokens; 0: all. Truncated tokens have no behaviour probability."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Sample among the likeliest tokens that hold this share of the probability."""
    publish: Literal["last", "best"] = "last"
    """Which checkpoint becomes the artifact: the last, or the best by sampled pass@1 on the selection items."""
    select_samples: Positive = 4
    """Responses for each selection item when a checkpoint is scored."""
    select_every: Count = 0
    """Rollout batches between two scores on the selection items; 0: only at the end."""

    @model_validator(mode="after")
    def _no_dropout(self) -> "OnPolicy":
        if self.lora is not None and self.lora.dropout > 0:
            raise ValueError("`lora.dropout` has to be 0: the policy that is trained is the one that answered")
        return self

    @model_validator(mode="after")
    def _best_needs_scores(self) -> "OnPolicy":
        if self.publish == "best" and self.select_every == 0:
            raise ValueError("`publish: best` needs `select_every` above 0: there is nothing to choose from otherwise")
        steps = getattr(self, "steps", None)
        if self.publish == "best" and steps is not None and self.select_every >= steps:
            raise ValueError(
                f"`publish: best` with `select_every` {self.select_every} and `steps` {steps} scores the last "
                "checkpoint alone: there is nothing to choose from"
            )
        return self
