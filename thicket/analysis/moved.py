"""One model in memory that is put wherever it is asked for: on the line between two models, or beside their base."""

from collections.abc import Iterator, Mapping
from functools import reduce

import torch
from torch import Tensor
from transformers import PreTrainedModel

from thicket.analysis.weights import Change, Weights, random_direction
from thicket.models.folder import with_weights

Place = Iterator[tuple[str, Tensor]]
"""Tensors by their names in the files, one after the other."""


class Moved:
    """A model whose weights are replaced in place."""

    def __init__(self, weights: Weights, device: str):
        self.device, self.subject = device, weights.subject
        self.model = self.subject.load(device)
        self._in_place = weights.shapes.keys() <= self.model.state_dict().keys()

    @torch.no_grad()
    def to(self, place: Place) -> PreTrainedModel:
        """The model there, until the next call."""
        if self._in_place:
            own = self.model.state_dict()
            for name, tensor in place:
                own[name].copy_(tensor)
        else:
            # Some architectures' files name and shape weights otherwise than their models do.
            self.model = with_weights(self.subject.folder, dict(place)).to(self.device).eval()  # type: ignore[arg-type]
        return self.model


def between(one: Weights, other: Weights, alpha: float, device: str) -> Place:
    """α·W_one + (1−α)·W_other, summed in float64; at 1 and 0 the models themselves, to the bit."""
    for name in one.shapes:
        sides = [(share, side) for share, side in ((alpha, one), (1 - alpha, other)) if share]
        yield name, reduce(torch.add, (share * side.read(name).to(device).double() for share, side in sides)).float()


def beside(base: Weights, by_name: Mapping[str, Change], model: int, seed: int, device: str) -> Place:
    """The base and a random direction that in every parameter is as long as the difference of a model (its place)."""
    for name, change in by_name.items():
        tensor, norm = base.read(name).to(device).float(), float(change.norms_M[model])
        yield name, tensor + random_direction(name, tensor.numel(), norm, seed, device).view_as(tensor)
