"""The policy-gradient family: one clipped loss, and what each recipe changes of it."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, model_validator

from thicket.config.fields import Count, NonNegative, Positive, PositiveFloat, Share, Strict
from thicket.config.on_policy import OnPolicy

Divergence = Literal["k3", "js"]


class Weighting(Strict):
    """Advantages weighted by how far the policy has moved at a token: w = 1 + s(σ(±α·D) − ½), detached.

    Source: "Sparse but Critical" (arXiv 2603.22446). D is 0 while the policy is the one that it is compared with, and w
    is 1 there.
    """

    type: Literal["none", "high_kl", "low_kl"] = "none"
    """`high_kl` raises the weight of tokens with a high divergence, `low_kl` of those with a low one."""
    divergence: Divergence = "k3"
    """D: `k3`, r − 1 − log r on the sampled token with r = π_θ/π_other; `js`: Jensen-Shannon over the vocabulary."""
    alpha: NonNegative = 10.0
    """α, per nat. The paper does not give its value; with 0 every weight is 1."""
    scale: Annotated[float, Field(ge=0, le=2)] = 1.0
    """s: since D ≥ 0, weights lie in [1, 1 + s/2] for `high_kl` and in [1 − s/2, 1] for `low_kl`. The paper does not
    give its value."""


class TopShare(Strict):
    """Train only on the tokens of each response with the highest divergence; on all of them, where none has any.

    The loss keeps its denominators: it is the share of the whole one that these tokens have.
    """

    share: Share = 1.0
    """q: the share of a response's tokens that is trained on."""
    divergence: Divergence = "k3"
    """As in `weighting.divergence`."""
    against: Literal["old", "start"] = "old"
    """The policy that the divergence is measured against: the one that made the rollouts, or the run's start."""


class PolicyGradient(OnPolicy):
    """The clipped policy gradient on rewards (PPO's surrogate, arXiv 1707.06347 eq. 7)."""

    clip: PositiveFloat = 0.2
    """ε: the probability ratio counts inside [1−ε, 1+ε] (arXiv 1707.06347 eq. 7)."""
    clip_high: PositiveFloat | None = None
    """ε of the upper side, where it is another (clip-higher, arXiv 2503.14476 eq. 10); null: `clip`."""
    kl: NonNegative = 0.0
    """β of the penalty β·KL to the start policy, by the k3 estimator; 0: no penalty and no start policy in memory."""
    updates: Positive = 1
    """Optimizer steps on one rollout batch, each on a share of the prompts; above 1 the clip acts."""
    passes: Positive = 1
    """Times that each rollout batch is gone through, `updates` optimizer steps each time."""
    weighting: Weighting = Weighting()
    """Advantages weighted by how far the policy has moved at each token."""
    top: TopShare = TopShare()
    """Training on the tokens of the highest divergence alone."""
    importance_cap: PositiveFloat | None = None
    """C: a token's advantage is weighted by min(π_old/μ, C), detached, with μ the probability that its sampler drew it
    with (truncated importance sampling, Ionides 2008); for a sampler that computes otherwise than the trainer, as an
    inference engine does. With `top_k` or `top_p` μ is that of the truncated distribution. null: no such weight."""
    overlong_filter: bool = False
    """Responses that the window cut off are left out of the loss (arXiv 2503.14476 §3.4)."""
    overlong_cache: Count = 0
    """L_cache, in tokens: the reward falls linearly to −1 over the window's last tokens (arXiv 2503.14476 eq. 13)."""

    @property
    def start_readings(self) -> int:
        """Times that the run's start reads an update's tokens: for the penalty, and to choose tokens."""
        return int(self.kl > 0) + int(self.top.share < 1 and self.top.against == "start")

    @property
    def old_readings(self) -> int:
        """Times that a copy of the policy that made the rollouts reads them: for weights and to choose, both by JS."""
        weighted = self.weighting.type != "none" and self.weighting.divergence == "js"
        topped = self.top.share < 1 and self.top.against == "old" and self.top.divergence == "js"
        return int(weighted) + int(topped)

    @model_validator(mode="after")
    def _updates_divide(self) -> "PolicyGradient":
        if self.prompts % self.updates:
            raise ValueError(f"`updates` ({self.updates}) has to divide `prompts` ({self.prompts})")
        return self

    @model_validator(mode="after")
    def _divergence_acts(self) -> "PolicyGradient":
        by_old = {
            "weighting": self.weighting.type != "none",
            "top.share": self.top.share < 1 and self.top.against == "old",
        }
        old = [name for name, on in by_old.items() if on]
        if old and self.updates * self.passes == 1:
            raise ValueError(
                f"`{old[0]}` compares the policy with the one that made the rollouts: with one update a batch they are "
                "the same; `updates` or `passes` has to be above 1"
            )
        return self


class GroupGradient(PolicyGradient):
    """A policy gradient whose baseline is the mean reward of the responses to the same prompt."""

    @model_validator(mode="after")
    def _group(self) -> "GroupGradient":
        if self.group < 2:
            raise ValueError("`group` has to be at least 2: the baseline is the mean over a group")
        return self


class StandardisedGradient(GroupGradient):
    """With advantages in standard deviations of the group's rewards."""

    advantage_epsilon: PositiveFloat = 1e-6
    """Added to the group's standard deviation (DeepSeek's GRPO has no such term; 1e-6 keeps equal rewards finite)."""


class Grpo(StandardisedGradient):
    """Group relative policy optimisation (arXiv 2402.03300): the mean over responses of their tokens' mean."""

    type: Literal["grpo"]
    steps: Positive
    """Rollout batches."""


class Simplerl(StandardisedGradient):
    """SimpleRL-Zoo's GRPO (arXiv 2503.18892): the mean over all tokens, with a small KL penalty."""

    type: Literal["simplerl"]
    steps: Positive
    """Rollout batches."""
    kl: NonNegative = 1e-4
    """β of the penalty to the start policy (arXiv 2503.18892)."""


class Dapo(StandardisedGradient):
    """DAPO (arXiv 2503.14476): clip-higher, dynamic sampling, token-level loss, overlong responses apart."""

    type: Literal["dapo"]
    steps: Positive
    """Rollout batches."""
    clip_high: PositiveFloat | None = 0.28
    """ε of the upper side (arXiv 2503.14476 §4.1)."""
    overlong_filter: bool = True
    """Responses that the window cut off are left out of the loss (arXiv 2503.14476 §3.4)."""
    sampling_rounds: Positive = 3
    """Dynamic sampling: most batches of prompts that are sampled to fill one with groups whose responses don't all
    earn the same (arXiv 2503.14476 §3.2); 1: the first batch is taken as it is, groups of one verdict included."""


class DrGrpo(GroupGradient):
    """Dr. GRPO (arXiv 2503.20783): advantages without the standard deviation, a token sum over a constant length."""

    type: Literal["dr_grpo"]
    steps: Positive
    """Rollout batches."""


class Gspo(StandardisedGradient):
    """GSPO (arXiv 2507.18071): one importance ratio a response, the geometric mean of its tokens' ratios."""

    type: Literal["gspo"]
    steps: Positive
    """Rollout batches."""
    clip: PositiveFloat = 3e-4
    """ε of the lower side (arXiv 2507.18071 §5.1)."""
    clip_high: PositiveFloat | None = 4e-4
    """ε of the upper side (arXiv 2507.18071 §5.1)."""

    @model_validator(mode="after")
    def _whole_responses(self) -> "Gspo":
        if self.top.share < 1:
            raise ValueError("`top.share` has to be 1: the ratio is a whole response's, and needs all of its tokens")
        return self


class Ppo(PolicyGradient):
    """PPO (arXiv 1707.06347) with a critic of its own: the start's trunk with a value head, trained beside it."""

    type: Literal["ppo"]
    steps: Positive
    """Rollout batches."""
    discount: Share = 1.0
    """γ of the rewards; the reward comes with the last token."""
    trace: Share = 1.0
    """λ of generalised advantage estimation (arXiv 1506.02438)."""
    critic_lr: PositiveFloat
    """Peak learning rate of the critic."""
    value_clip: PositiveFloat = 0.2
    """The critic's prediction counts within this distance of its old one."""


class Mixed(StandardisedGradient):
    """One GRPO run over all domains at once (DeepSeek-V3.2's way), at the cost of the student in `budget_of`."""

    type: Literal["mixed"]
    budget: Literal["whole", "teachers"] = "whole"
    """What may be spent: `whole`, all training that the other student rests on and its own; `teachers`, that of its
    teachers alone."""
    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Of that, what is spent; with constant learning rates, below 1 is a point on the way to 1."""
    order: Literal["together", "sequence"] = "together"
    """`together`: every batch has prompts of all domains; `sequence`: one domain after the other, in the order in which
    they are named, each for an equal share of the budget (sequential fine-tuning, which forgets)."""

    def spendable(self, cost: Mapping[str, float], student: str) -> float:
        """FLOPs, out of what a student and all that it rests on took, by model."""
        allowed = sum(flops for model, flops in cost.items() if self.budget == "whole" or model != student)
        return self.share * allowed

    @model_validator(mode="after")
    def _no_last_step(self) -> "Mixed":
        if self.optimizer.schedule != "constant":
            raise ValueError(
                "a run with a budget of FLOPs has no known last step: `optimizer.schedule` has to be constant"
            )
        if self.flops is not None:
            raise ValueError("`flops` has no effect: the budget is the cost of the student in `budget_of`")
        return self


Reinforced = Grpo | Simplerl | Dapo | DrGrpo | Gspo | Ppo
"""Ways to a specialist by reward."""
