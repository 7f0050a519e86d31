"""Sizes of models before they are loaded: from the config of one made here, from the files of one that is there."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

from thicket.config.base import Architecture
from thicket.models.flops import EXPERTS

CHARACTER_VOCABULARY = 44
"""Tokens of `thicket.models.characters`; a test holds it to that."""


@dataclass(frozen=True)
class Shape:
    """What a model's cost depends on."""

    parameters: int
    """All weights, tied ones once."""
    vocabulary: int
    idle: int = 0
    """Weights that a token does not meet: those of the experts that the router leaves out."""

    @property
    def active(self) -> int:
        """Weights that a token meets."""
        return self.parameters - self.idle


def fresh_shape(architecture: Architecture) -> Shape:
    """The shape of a model made from scratch.

    In each layer: four attention projections, three of the gated MLP (of each expert's), two norms; of a mixture also
    the router and the norms of a head's queries and keys. Besides, the embedding, the last norm and, unless it is tied,
    the head.
    """
    width, vocabulary, experts = architecture.width, CHARACTER_VOCABULARY, architecture.experts
    mlp = 3 * width * architecture.mlp_width
    mixture = experts * width + 2 * width // architecture.heads if experts else 0
    layer = 4 * width**2 + mlp * max(1, experts) + mixture + 2 * width
    embeddings = vocabulary * width * (1 if architecture.tied else 2)
    idle = architecture.layers * mlp * (experts - architecture.active) if experts else 0
    return Shape(architecture.layers * layer + width + embeddings, vocabulary, idle)


def saved_shape(folder: Path) -> Shape | None:
    """The shape of a model in a folder, from the headers of its safetensors; None where there is none yet."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        sizes = [size for path in folder.glob("*.safetensors") for size in _sizes(path)]
        config = config.get("text_config", config)
        vocabulary = config["vocab_size"]
    except (OSError, ValueError, KeyError):
        return None
    experts = next((count for name in EXPERTS if (count := config.get(name))), None)
    picked = config["num_experts_per_tok"] / experts if experts else 1.0
    idle = round(sum(size for name, size in sizes if ".experts." in name) * (1 - picked))
    return Shape(sum(size for _, size in sizes), vocabulary, idle) if sizes else None


def _sizes(path: Path) -> list[tuple[str, int]]:
    """Name and size of a file's tensors: eight bytes hold the length of the JSON header that names all shapes."""
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return [(name, math.prod(entry["shape"])) for name, entry in header.items() if name != "__metadata__"]
