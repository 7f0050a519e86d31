"""Sizes of models before they are loaded: from the config of one made here, from the files of one that is there."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

from thicket.config.base import Architecture

CHARACTER_VOCABULARY = 44
"""Tokens of `thicket.models.characters`; a test holds it to that."""


@dataclass(frozen=True)
class Shape:
    """What a model's cost depends on."""

    parameters: int
    """All weights, tied ones once."""
    vocabulary: int


def fresh_shape(architecture: Architecture) -> Shape:
    """The shape of a model made from scratch.

    In each layer: four attention projections, three of the gated MLP, two norms; besides, the embedding, the last norm
    and, unless it is tied, the head.
    """
    width, vocabulary = architecture.width, CHARACTER_VOCABULARY
    layer = 4 * width**2 + 3 * width * architecture.mlp_width + 2 * width
    embeddings = vocabulary * width * (1 if architecture.tied else 2)
    return Shape(architecture.layers * layer + width + embeddings, vocabulary)


def saved_shape(folder: Path) -> Shape | None:
    """The shape of a model in a folder, from the headers of its safetensors; None where there is none yet."""
    try:
        vocabulary = json.loads((folder / "config.json").read_text(encoding="utf-8"))["vocab_size"]
        parameters = sum(_parameters(path) for path in folder.glob("*.safetensors"))
    except (OSError, ValueError, KeyError):
        return None
    return Shape(parameters, vocabulary) if parameters else None


def _parameters(path: Path) -> int:
    """The numbers in a safetensors file: eight bytes hold the length of the JSON header that names all shapes."""
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return sum(math.prod(entry["shape"]) for name, entry in header.items() if name != "__metadata__")
