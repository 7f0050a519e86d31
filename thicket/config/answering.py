"""How a model answers, where it is not by a sample of its own weights as the evaluation says: `answering.json`."""

from typing import Annotated

from pydantic import Field

from thicket.config.fields import Count, Name, NonNegative, Positive, PositiveFloat, Seed, Strict, form

FILE = "answering.json"
"""In a model's folder."""


Template = Annotated[str, form(r"\{prompt\}", "text with {prompt} in it")]
"""Text around a prompt, with {prompt} in its place."""


class Perturbation(Strict):
    """A neighbour of a model in weight space: θ + σ·ε(seed), ε the noise of `thicket.ops.noise`."""

    seed: Seed
    """Key of the noise."""
    sigma: NonNegative
    """σ, in units of the weights."""
    score: float
    """Mean reward on the items that it was chosen by."""


class Voice(Strict):
    """A model whose next-token distribution is pooled with others'."""

    model: Name
    """The model."""
    weights: str
    """Hash of its weights."""
    share: PositiveFloat
    """Of its log-probabilities in the pooled ones."""


class Answering(Strict):
    """A model's own way to answer."""

    weights_of: Name | None = None
    """The model whose weights answer; null: those in this folder."""
    weights: str | None = None
    """Hash of those weights, where they are another folder's."""
    members: list[Perturbation] = []
    """The ensemble, best first: each member gives one response, and they vote."""
    pooled: list[Voice] = []
    """Models that choose every token together: softmax(Σ share · log p). Empty: one model answers."""
    votes: Positive = 1
    """Responses that vote on an answer, where no members do."""
    temperature: NonNegative | None = None
    """Sampling temperature (0: greedy); null: the evaluation's."""
    top_k: Count | None = None
    """Null: the evaluation's."""
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    """Null: the evaluation's."""
    template: Template | None = None
    """Text around each prompt, with {prompt} in it; null: the prompt as it is."""

    @property
    def others(self) -> list[str]:
        """The models with whose weights it answers; none where it answers with its own."""
        return [voice.model for voice in self.pooled] or ([self.weights_of] if self.weights_of else [])
