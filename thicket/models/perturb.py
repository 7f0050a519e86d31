"""Neighbours of a model in weight space: θ + Σ w_n ε(s_n), and back to θ exactly.

Every parameter moves, tied ones once, under the first of their names; buffers stay. The sum is taken in float32, with
products and additions as operations of their own (in one, a compiler may round once instead of twice), and rounded to
the weights' own type at the end: equal seeds give equal weights on every device.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from thicket.ops import noise

CHUNK = 2**24
"""Elements of a parameter that are moved at once: 64 MiB of noise."""


@dataclass(frozen=True)
class Direction:
    """A seed's noise, and how far to go along it."""

    seed: int
    weight: float
    """In units of the weights: σ for a perturbation."""


def move(model: nn.Module, directions: Sequence[Direction]) -> None:
    """Adds Σ w_n ε(s_n) to the model's weights in place."""
    for name, parameter in model.named_parameters():
        shift(parameter, name, directions)


@torch.no_grad()
def shift(weights: Tensor, name: str, directions: Sequence[Direction]) -> None:
    """Adds Σ w_n ε(s_n) to a parameter of this name in place; a weight of 0 adds nothing, to the bit."""
    steps = [(noise.key_of(step.seed, name), step.weight) for step in directions if step.weight != 0]
    flat_N = weights.view(-1)
    for start in range(0, flat_N.numel() if steps else 0, CHUNK):
        part_N = flat_N[start : start + CHUNK]
        total_N = torch.zeros(part_N.shape, device=part_N.device)
        for key, weight in steps:
            total_N += noise.normal(key, start, start + part_N.numel(), part_N.device).mul_(weight)
        part_N.copy_(part_N.float() + total_N)


class Neighbourhood:
    """A model, and a copy of its weights to come back to."""

    def __init__(self, model: nn.Module):
        self.model = model
        self.centre = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}

    @contextmanager
    def at(self, *directions: Direction) -> Iterator[None]:
        """The model is its neighbour within the block, and what it was after it."""
        try:
            move(self.model, directions)
            yield
        finally:
            self.restore()

    @torch.no_grad()
    def walk(self, *directions: Direction) -> None:
        """Moves the centre itself, and the model with it."""
        move(self.model, directions)
        for name, parameter in self.model.named_parameters():
            self.centre[name].copy_(parameter)

    @torch.no_grad()
    def restore(self) -> None:
        """Puts the weights of the centre in place."""
        for name, parameter in self.model.named_parameters():
            parameter.copy_(self.centre[name])
