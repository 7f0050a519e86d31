"""Gradient-free ways to a specialist: perturbations of the weights, and the controls that ask the same of the base."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from thicket.config.answering import Template
from thicket.config.fields import Count, NonNegative, Positive, PositiveFloat, Strict


class Search(Strict):
    """What every method has that scores models instead of training one."""

    items: Positive = 200
    """Most items that candidates are scored on, the first of the train split for a search of weights, of the selection
    split for a control (arXiv 2603.12228: the first 200 training items); where there are fewer, all."""
    flops: PositiveFloat | None = None
    """Floating-point operations after which no further candidate is scored (by randopt, once there are enough for an
    ensemble; by es, at the end of a generation); null: all candidates are."""


class Perturbed(Search):
    """What every method has that scores neighbours of the base in weight space."""

    together: Positive | None = None
    """Perturbations that are evaluated in one forward pass, with a copy of the weights for each; it rounds differently,
    as another device does. null: on a GPU as many as fill a batch of the sampler with their responses and half of the
    memory, if these are four or more; on a CPU, where it is no faster, for models that can't be stacked, and for those
    that judge themselves, one."""


class Randopt(Perturbed):
    """Random search around the base: N perturbations θ + σε, the best K vote (Neural Thickets, arXiv 2603.12228)."""

    type: Literal["randopt"]
    perturbations: Positive
    """N."""
    sigmas: Annotated[list[NonNegative], Field(min_length=1)]
    """The σ, in units of the weights, dealt to the perturbations in turn (released scripts: 5e-4, 1e-3, 2e-3)."""
    members: Positive
    """K: the best by mean reward, ties to the earlier one, vote on each answer (released scripts: N/100)."""

    @model_validator(mode="after")
    def _enough(self) -> "Randopt":
        if self.members > self.perturbations:
            raise ValueError(f"`members` ({self.members}) can't be more than `perturbations` ({self.perturbations})")
        return self


class Es(Perturbed):
    """Evolution strategies at scale (arXiv 2509.24372): θ += (α/N) Σ z_n ε_n, z the z-scored rewards, one-sided."""

    type: Literal["es"]
    steps: Positive
    """Generations, each one step of the weights."""
    population: Annotated[int, Field(ge=2)]
    """N: perturbations a generation (paper: 30); the z-score of a single one is 0."""
    sigma: PositiveFloat
    """σ of the perturbations (paper: 1e-3)."""
    alpha: PositiveFloat
    """α, the step size (paper: σ/2)."""


class Member(Strict):
    """The single best member of an ensemble, as a model of its own."""

    type: Literal["member"]


class Control(Search):
    """What the controls share: the evaluation's own truncation doesn't count for a model that has a way to answer."""

    top_k: Count = 0
    """Answers are sampled among the k likeliest tokens; 0: all."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Answers are sampled among the likeliest tokens that hold this share of the probability."""


class SelfConsistency(Control):
    """Control: the base's own majority vote over K samples (arXiv 2203.11171), at its best temperature."""

    type: Literal["self_consistency"]
    votes: Positive
    """K: samples an answer."""
    temperatures: Annotated[list[PositiveFloat], Field(min_length=1)]
    """Candidates; the one whose vote is right most often on the selection items answers from then on."""


class BestPrompt(Control):
    """Control: the base at the temperature and with the prompt that are best on the selection items."""

    type: Literal["best_prompt"]
    temperatures: Annotated[list[NonNegative], Field(min_length=1)]
    """Candidates of the sampling temperature; 0: greedy."""
    templates: Annotated[list[Template], Field(min_length=1)]
    """Candidates of the text around the domain's own prompt, with {prompt} in it."""
    samples: Positive = 4
    """Responses to each selection item for each candidate."""


WEIGHTLESS = Randopt | SelfConsistency | BestPrompt
"""Methods whose specialist has no weights of its own: it says how those of its start answer."""
Searched = Randopt | Es | Member | SelfConsistency | BestPrompt
