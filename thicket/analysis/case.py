"""What an analysis is given: models, items, and how to say how far it is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from transformers import PreTrainedModel

from thicket.models.folder import load_model
from thicket.sampling.environment import Environment
from thicket.sampling.prompts import Tokenizer


@dataclass(frozen=True)
class Subject:
    """A model that is analysed."""

    name: str
    folder: Path
    """With weights of its own."""

    def load(self, device: str) -> PreTrainedModel:
        """The model in float32, ready to be asked. Raises: ValueError where it can't be loaded."""
        return load_model(self.folder).to(device).eval()  # type: ignore[arg-type]


@dataclass(frozen=True)
class Case:
    """Models of one vocabulary and the items that they are asked."""

    models: Sequence[Subject]
    """In the order that the analysis gives a meaning."""
    environments: Sequence[Environment]
    """A domain each, cut to the items that are asked."""
    tokenizer: Tokenizer
    seed: int
    """Fixes every draw."""
    batch: int
    """Responses that are decoded at once."""
    device: str
    """cpu, or cuda."""
    scratch: Path
    """A folder that stays between runs: what is costly and keyed by a hash of all that it depends on."""
    tell: Callable[[float, str], None]
    """Share done, between 0 and 1, and the figure that matters."""
