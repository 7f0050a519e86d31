"""Multi-teacher on-policy distillation: what the student is pulled towards, and by what signal."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from thicket.config.fields import Positive, PositiveFloat, Share, Strict
from thicket.config.on_policy import OnPolicy


class FullVocab(Strict):
    """The exact divergence over the whole vocabulary. On a GPU kernels make it where a token has one teacher and
    there is no reward beside (reverse KL of several too, on Hopper); all else, and every other signal, goes by plain
    torch."""

    type: Literal["full_vocab"]
    divergence: Literal["reverse_kl", "forward_kl", "jsd"] = "reverse_kl"
    """D(student, teacher): `reverse_kl` KL(π_θ ‖ π_E) (arXiv 2606.19348 eq. 29), `forward_kl` KL(π_E ‖ π_θ), `jsd` the
    generalised Jensen-Shannon divergence (GKD, arXiv 2306.13649 eq. 1)."""
    beta: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """β of `jsd`: m = β·π_E + (1 − β)·π_θ."""


class TopK(Strict):
    """Reverse KL over the teacher's k likeliest tokens alone: what fits in a message from a server."""

    type: Literal["top_k"]
    k: Positive = 64
    """Tokens of each position."""
    rest: Literal["bucket", "measure"] = "bucket"
    """What keeps the student from emptying the top k: `bucket` sums all other tokens up as one, `measure` adds −p + q
    (MOPD, arXiv 2606.30406)."""


class SampledToken(Strict):
    """The policy-gradient estimate of the reverse KL at the token that was sampled (arXiv 2601.02780); with several
    `updates` on a rollout batch, of the student of the moment."""

    type: Literal["sampled_token"]
    clip: PositiveFloat | None = None
    """Bound of the advantage |log π_E(y) − log π_θ(y)|, in nats; null: none."""


class Top1(Strict):
    """Cross-entropy to the teacher's likeliest token."""

    type: Literal["top1"]


Signal = Annotated[FullVocab | TopK | SampledToken | Top1, Field(discriminator="type")]


class Gap(Strict):
    """Domains weigh more that are further from their teachers: c_d = clip((m_d / m̄)^power, low, high), with m_d the
    mean divergence of the domain's tokens when they were last trained on, and m̄ the mean over domains (Open-MOPD, arXiv
    2608.19098). It scales the whole loss of the domain's tokens."""

    power: float = 1.0
    """The paper's is 1; its inverse diverged there."""
    low: PositiveFloat = 0.05
    """Least factor."""
    high: PositiveFloat = 20.0
    """Largest factor."""

    @model_validator(mode="after")
    def _in_order(self) -> "Gap":
        if self.low > self.high:
            raise ValueError(f"`low` ({self.low}) can't be above `high` ({self.high})")
        return self


class Reward(Strict):
    """A verifier's reward beside the teachers: −weight·Â·log π_θ(y) is added at each token of the student's own
    responses, Â = (R − mean)/(std + ε) over the responses to a prompt (MiMo-V2-Flash, arXiv 2601.02780). On a GPU the
    loss then goes by plain torch, which takes several times as long as the kernels."""

    weight: PositiveFloat
    """α, in nats of divergence for an advantage of 1."""
    advantage_epsilon: PositiveFloat = 1e-6
    """ε, as GRPO's."""


class Opd(OnPolicy):
    """Multi-teacher on-policy distillation: Σ_i w_i D(π_θ, π_Ei) on the student's responses (arXiv 2606.19348 §5.1).

    The loss is the mean over response tokens. No gradient goes through the sampling.
    """

    type: Literal["opd"]
    steps: Positive
    """Rollout batches."""
    temperature: PositiveFloat = 1.0
    """Sampling temperature of the rollouts; the divergence is that of the distributions at `softmax_temperature`."""
    routing: Literal["domain", "all"] = "domain"
    """Who judges a response: `domain`, the teachers of its prompt's domain; `all`, every teacher."""
    signal: Signal = FullVocab(type="full_vocab")
    """What of the distributions is compared."""
    softmax_temperature: PositiveFloat = 1.0
    """τ: student and teachers are compared at logits/τ."""
    balance: Literal["tokens", "domains"] = "tokens"
    """`tokens`: every response token counts alike; `domains`: every domain does, however long its responses are (short
    answers get a small share of the gradient otherwise; arXiv 2608.19098)."""
    gap: Gap | None = None
    """Weights of domains by their distance to the teachers, on top of `balance`; null: none."""
    on_policy: Share = 1.0
    """λ: share of the prompts that the student answers itself; the others are answered by the teachers of their domain
    in turn (GKD, arXiv 2306.13649)."""
    reward: Reward | None = None
    """A task reward in the loss; null: the teachers alone."""
    updates: Positive = 1
    """Optimizer steps on one rollout batch, each on a share of the prompts of every domain; in each the student's
    distributions are its own of that moment. Above 1, what `sampled_token` or `reward` estimates at a token is weighted
    by r = π_θ(y)/π_old(y), detached, with π_old the student that drew it (arXiv 2601.02780)."""
    ratio_max: Annotated[float, Field(gt=1)] | None = None
    """With `updates` above 1: a token whose r is larger counts for nothing in such an estimate (the upper of two bounds
    in arXiv 2601.02780, which doesn't give their values); null: all tokens count, and the estimate is unbiased."""
    logits_mib: Positive = 512
    """Memory for logits, in MiB: the loss goes over the tokens in chunks of this size."""

    @property
    def estimates(self) -> bool:
        """Whether a part of the loss is an estimate at the tokens that were drawn."""
        return self.reward is not None or isinstance(self.signal, SampledToken)

    @model_validator(mode="after")
    def _updates_divide(self) -> "Opd":
        if self.prompts % self.updates:
            raise ValueError(f"`updates` ({self.updates}) has to divide `prompts` ({self.prompts})")
        return self

    @model_validator(mode="after")
    def _reward_acts(self) -> "Opd":
        if self.reward is not None and self.group < 2:
            raise ValueError("`reward` needs a `group` of at least 2: the baseline is the mean over a group")
        if self.reward is not None and self.on_policy == 0:
            raise ValueError("`reward` has no effect with `on_policy: 0`: it acts on the student's own responses")
        return self

    @model_validator(mode="after")
    def _sampled_by_itself(self) -> "Opd":
        if not isinstance(self.signal, SampledToken):
            return self
        if self.on_policy < 1:
            raise ValueError("`signal: sampled_token` estimates with the student's own tokens: it needs `on_policy: 1`")
        if self.gap is not None:
            raise ValueError("`gap` needs a divergence: that of `sampled_token` is an estimate, which may be negative")
        return self

    @model_validator(mode="after")
    def _ratio_acts(self) -> "Opd":
        if self.ratio_max is not None and (self.updates == 1 or not self.estimates):
            raise ValueError(
                "`ratio_max` has no effect: it needs `signal: sampled_token` or a `reward`, and `updates` above 1"
            )
        return self

    @model_validator(mode="after")
    def _drawn_as_compared(self) -> "Opd":
        if self.estimates and self.updates == 1 and self.temperature != self.softmax_temperature:
            raise ValueError(
                "`signal: sampled_token` and `reward` estimate with tokens drawn at `temperature` "
                f"({self.temperature}) what is compared at `softmax_temperature` ({self.softmax_temperature}): they "
                "have to be equal, or `updates` above 1, where tokens are weighted"
            )
        return self
