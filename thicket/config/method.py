"""Methods: ways to a specialist and ways to fold specialists into a student. The code is `thicket/methods/TYPE.py`."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from thicket.config.base import Optimizer
from thicket.config.fields import Count, NonNegative, Positive, PositiveFloat, Strict


class OnPolicy(Strict):
    """What every method has that trains on the policy's own rollouts."""

    prompts: Positive
    """Prompts a rollout batch."""
    group: Positive
    """Responses sampled for each prompt (G)."""
    optimizer: Optimizer
    temperature: PositiveFloat = 1.0
    """Sampling temperature of the rollouts; the policy that is trained is the tempered one."""
    top_k: Count = 0
    """Sample among the k likeliest tokens; 0: all. Truncated tokens have no behaviour probability."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Sample among the likeliest tokens that hold this share of the probability."""
    micro_batch: Positive = 64
    """Responses in one forward and backward pass; gradients are summed, so that it changes memory and nothing else."""
    publish: Literal["last", "best"] = "last"
    """Which checkpoint becomes the artifact: the last, or the best by sampled pass@1 on the selection items."""
    select_samples: Positive = 4
    """Responses for each selection item when a checkpoint is scored."""
    select_every: Count = 0
    """Rollout batches between two scores on the selection items; 0: only at the end."""

    @model_validator(mode="after")
    def _best_needs_scores(self) -> "OnPolicy":
        if self.publish == "best" and self.select_every == 0:
            raise ValueError("`publish: best` needs `select_every` above 0: there is nothing to choose from otherwise")
        return self


class PolicyGradient(OnPolicy):
    """The clipped policy gradient with a group baseline (GRPO, arXiv 2402.03300)."""

    clip: PositiveFloat = 0.2
    """ε: the probability ratio counts inside [1−ε, 1+ε] (arXiv 2402.03300 eq. 3)."""
    kl: NonNegative = 0.0
    """β of the penalty β·KL to the start policy, by the k3 estimator; 0: no penalty and no start policy in memory."""
    updates: Positive = 1
    """Optimizer steps on one rollout batch, each on a share of the prompts; above 1 the clip acts."""
    advantage_epsilon: PositiveFloat = 1e-6
    """Added to the group's standard deviation (DeepSeek's GRPO has no such term; 1e-6 keeps equal rewards finite)."""

    @model_validator(mode="after")
    def _group_and_updates(self) -> "PolicyGradient":
        if self.group < 2:
            raise ValueError("`group` has to be at least 2: the baseline is the mean over a group")
        if self.prompts % self.updates:
            raise ValueError(f"`updates` ({self.updates}) has to divide `prompts` ({self.prompts})")
        return self


class Grpo(PolicyGradient):
    """Group relative policy optimisation towards one domain's reward."""

    type: Literal["grpo"]
    steps: Positive
    """Rollout batches."""


class Mixed(PolicyGradient):
    """One GRPO run over all domains at once (DeepSeek-V3.2's way), at the cost of the student in `budget_of`."""

    type: Literal["mixed"]

    @model_validator(mode="after")
    def _no_last_step(self) -> "Mixed":
        if self.optimizer.schedule != "constant":
            raise ValueError(
                "a run with a budget of FLOPs has no known last step: `optimizer.schedule` has to be constant"
            )
        return self


class Opd(OnPolicy):
    """Multi-teacher on-policy distillation: Σ_i w_i KL(π_θ ‖ π_Ei), full vocabulary (arXiv 2606.19348 eq. 29)."""

    type: Literal["opd"]
    steps: Positive
    """Rollout batches."""


class Soup(Strict):
    """The weighted mean of the teachers' weights (Wortsman et al. 2022, arXiv 2203.05482)."""

    type: Literal["soup"]


SpecialistMethod = Grpo
StudentMethod = Annotated[Opd | Soup | Mixed, Field(discriminator="type")]
