"""Supervised ways to a specialist: cross-entropy on given demonstrations, or on the model's own samples."""

from typing import Annotated, Literal

from pydantic import Field

from thicket.config.fields import Count, NonNegative, Positive, PositiveFloat
from thicket.config.on_policy import Trained


class Imitation(Trained):
    """Cross-entropy on the responses of a fixed set of texts; prompts are read and not trained on."""

    steps: Positive
    """Optimizer steps."""
    batch: Positive
    """Texts an optimizer step; each pass over the set is in a new order."""
    select_samples: Positive = 4
    """Responses for each selection item when the end is scored."""


class Sft(Imitation):
    """Supervised fine-tuning on the items' demonstrations: worked solutions, or answers where a source has none."""

    type: Literal["sft"]
    select_temperature: NonNegative = 1.0
    """Sampling temperature of the responses that are scored on the selection items."""


class OwnSamples(Imitation):
    """Supervised fine-tuning on samples of the frozen start."""

    samples: Positive = 1
    """Responses sampled for each train prompt of a domain; of an ensemble, shared out among its members."""
    prompts: Positive | None = None
    """Train prompts of a domain that are sampled, the first of them; null: all."""
    temperature: NonNegative = 1.0
    """Sampling temperature, T_train; 0: greedy."""
    top_k: Count = 0
    """Sample among the k likeliest tokens; 0: all (applied after the temperature)."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Sample among the likeliest tokens that hold this share of the probability (applied after top-k)."""


class Sampled(OwnSamples):
    """Supervised fine-tuning on samples of the frozen start that its module's `kept` chooses."""

    select_temperature: NonNegative = 1.0
    """Sampling temperature of the responses that are scored on the selection items."""


class Rft(Sampled):
    """Rejection-sampling fine-tuning (Yuan et al. 2023, arXiv 2308.01825): verified samples of the start itself.

    From an ensemble, its members' samples teach the model that they are perturbations of (arXiv 2603.12228 §6). A
    student imitates its teachers instead: verified samples of each on the prompts of its domain; a teacher with a
    weight of 0 is not asked, and other weights say nothing.
    """

    type: Literal["rft"]
    keep: Literal["all", "distinct", "shortest"] = "distinct"
    """Which correct samples of a prompt are kept: all, each text once, or the shortest alone."""


class Ssd(OwnSamples):
    """Simple self-distillation (arXiv 2604.01193): one sample a prompt, no filter but empties, then its own T_eval."""

    type: Literal["ssd"]
    answer_temperature: PositiveFloat = 1.0
    """T_eval: the temperature at which the specialist answers from then on."""

    @property
    def select_temperature(self) -> float:
        """Of the responses that are scored on the selection items: the specialist's own."""
        return self.answer_temperature


Imitated = Sft | Rft | Ssd
