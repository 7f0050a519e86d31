"""Analyses: what is measured about models beside their scores. The code is `thicket/analysis/TYPE.py`."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from thicket.config.fields import Count, NonNegative, Positive, PositiveFloat, Share, Strict


class Asked(Strict):
    """What every analysis has that asks models items of domains."""

    items: Positive = 64
    """Most items of a domain, the first of the split; where there are fewer, all."""
    split: Literal["selection", "test"] = "test"
    """Which items."""
    most_models: ClassVar[int | None] = 2
    fewest_models: ClassVar[int] = 2


class Neighbours(Asked):
    """What the analyses of a model's neighbourhood share: a bank of scores of θ + σε on every domain's items.

    Analyses with equal values here read one bank, which is made once.
    """

    most_models: ClassVar[int | None] = 1
    fewest_models: ClassVar[int] = 1
    perturbations: Annotated[int, Field(ge=2)]
    """N for each σ."""
    sigmas: Annotated[list[PositiveFloat], Field(min_length=1)]
    """The σ, in units of the weights (Neural Thickets, arXiv 2603.12228: 0.005; its scripts 5e-4, 1e-3, 2e-3)."""


class Density(Neighbours):
    """δ(m): the share of perturbations whose score is at least m above the model's own (arXiv 2603.12228)."""

    type: Literal["density"]
    margins: Annotated[list[Share], Field(min_length=1)] = [0.0, 0.05]
    """m, as a difference of mean scores; at 0 the strict share (>) tells ties from gains."""
    slice: Annotated[int, Field(ge=2)] | None = None
    """Points on a side of a picture of the plane through two random directions; null: no picture."""
    slice_reach: PositiveFloat = 2.0
    """Half the side of that plane, in units of the largest σ."""


class Discordance(Neighbours):
    """D = 1 − mean over pairs of domains of the correlation of percentile ranks (arXiv 2603.12228), within one σ.

    Beside it a null by permutation, and the noise ceiling from scores on two halves of the items.
    """

    type: Literal["discordance"]
    permutations: Positive = 1000
    """Of each domain's ranks, for the null."""
    halves: Positive = 50
    """Random splits of the items in two, for the reliability of a domain's ranks."""


class Overlap(Neighbours):
    """The chance that a perturbation is good on A and on B, against the product of the two chances."""

    type: Literal["overlap"]
    margin: Share = 0.0
    """A perturbation is good where its score exceeds the model's own by more than this."""


class Connectivity(Asked):
    """Barriers on the lines between models, and their weights' differences from the first, which is their base.

    Each model is compared with each other, and with the base.
    """

    type: Literal["connectivity"]
    most_models: ClassVar[int | None] = None
    points: Annotated[int, Field(ge=3)] = 11
    """Weights α on each line, even, both ends counted (Frankle et al. 2020, arXiv 1912.05671: 30)."""
    samples: Positive = 1
    """Responses to an item at each point; 1: greedy."""
    random_directions: Count = 2
    """Control: random directions of each difference's norm, parameter by parameter, from the base."""


class Divergence(Asked):
    """Next-token distributions of a base and of a model along their responses (Sparse but Critical, arXiv 2603.22446).

    The first model is the base. JS in nats (at most log 2), KL both ways, entropy.
    """

    type: Literal["divergence"]
    samples: Positive = 4
    """Responses to an item, of each model."""
    temperature: PositiveFloat = 1.0
    """Of the responses (paper: 1); the distributions that are compared are those at 1."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Of the responses (paper: 0.7)."""
    cuts: Annotated[list[NonNegative], Field(min_length=1)] = [1e-4, 1e-3, 1e-2, 0.1]
    """JS below which shares are given (the paper does not say what it calls near zero)."""
    high: NonNegative = 0.1
    """JS above which a position is critical (paper: 0.1)."""
    rare: Share = 0.01
    """Base probability below which a model's first choice is new to the base (paper: 0.01)."""
    top: Positive = 3
    """Candidates of the base among which the new first choice is looked for (paper: 3), and of both whose overlap is
    counted."""
    bins: Positive = 10
    """Parts of a response, for divergence by position."""


class CrossSampling(Asked):
    """Responses in which each token comes from one of two models, by divergence (arXiv 2603.22446).

    The first model is the base. Forward: the base answers, and the other steps in; reverse: the other way round.
    Controls at the same budget: random positions, the highest entropy, the largest gap in log-probability.
    """

    type: Literal["cross_sampling"]
    thresholds: Annotated[list[float], Field(min_length=1)] = [0.3, 0.1, 0.03, 0.01, 0.001]
    """ε: the other model draws where JS > ε; below 0 it draws everywhere."""
    samples: Positive = 2
    """Responses to an item for each threshold, direction and control."""
    temperature: PositiveFloat = 1.0
    """Of the responses (paper: 1)."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Of the responses (paper: 0.7)."""
    controls: list[Literal["random", "entropy", "log_ratio"]] = ["random", "entropy", "log_ratio"]
    """Other ways to choose as many positions."""


class SelfDistillation(Asked):
    """The three terms of simple self-distillation's loss (arXiv 2604.01193): support, reshaping, anchor.

    The first model is the frozen one that gave the samples, the second the one that learned from them (or the same).
    """

    type: Literal["self_distillation"]
    train_temperature: PositiveFloat
    """T of the training samples."""
    top_k: Count = 0
    """Of the training samples; 0: all."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Of the training samples."""
    samples: Positive = 2
    """Responses to an item at the training temperature."""
    score_samples: Positive = 4
    """Responses to an item at temperature 1 that a model is scored on; of the frozen one as many again, which tell the
    hard items from the easy ones."""


class Estimators(Asked):
    """Variance and bias of estimates of the gradient of reverse KL, full vocabulary, top k, sampled token, top 1.

    The first model is the student, the second the teacher.
    """

    type: Literal["estimators"]
    resamples: Annotated[int, Field(ge=2)] = 32
    """Draws of a token at every position, for the variance."""
    k: Positive = 8
    """Of top k."""
    samples: Positive = 1
    """Responses of the student to an item."""


class Scalpel(Asked):
    """KL to the base, weight change and forgetting of models, at their scores (Scalpel vs. Hammer, arXiv 2507.10616).

    The first model is the base; the first domain is the one that the others were trained on.
    """

    type: Literal["scalpel"]
    most_models: ClassVar[int | None] = None
    samples: Positive = 4
    """Responses to an item."""


class Interference(Asked):
    """Cosines of the domains' policy gradients at models: the base first, then points of mixed training."""

    type: Literal["interference"]
    most_models: ClassVar[int | None] = None
    fewest_models: ClassVar[int] = 1
    group: Annotated[int, Field(ge=2)] = 8
    """Responses to an item; the advantage is against their mean."""
    halves: Positive = 2
    """Disjoint parts of the items, whose gradients' cosine within a domain is the noise ceiling."""


class Capability(Asked):
    """Whether the base's pass@k reaches what a model solves (Chen et al. 2021 eq. 1; Yue et al. 2025).

    The first model is the base.
    """

    type: Literal["capability"]
    ks: Annotated[list[Positive], Field(min_length=1)] = [1, 4, 16, 64, 256]
    """The k of pass@k; the base gives as many responses to an item as the largest."""
    samples: Positive = 16
    """Responses of the other model to an item."""
    solves: Annotated[float, Field(gt=0, le=1)] = 0.5
    """The least share of them that is correct where the model solves the item."""
    temperature: PositiveFloat = 1.0
    """Of all responses."""


Analysis = Annotated[
    Density
    | Discordance
    | Overlap
    | Connectivity
    | Divergence
    | CrossSampling
    | SelfDistillation
    | Estimators
    | Scalpel
    | Interference
    | Capability,
    Field(discriminator="type"),
]
