"""Neighbours of a model in weight space: θ + Σ w_n ε(s_n), and back to θ exactly.

Every parameter moves, tied ones once, under the first of their names; buffers stay. The sum is taken in float32, with
products and additions as operations of their own (in one, a compiler may round once instead of twice), and rounded to
the weights' own type at the end: equal seeds give equal weights on every device. On a GPU one kernel does all that for
all parameters, in one pass over them. Legend: M neighbours, N elements.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from thicket.ops import noise

CHUNK = 2**24
"""Elements of a parameter that are moved at once: 64 MiB of noise."""
Weights = Mapping[str, Tensor]
"""Parameters by name."""
Step = tuple[int, float]
"""A direction's seed and weight."""
Launched = Callable[[Sequence[Sequence[Step]]], None]
"""The kernel over parameters of one type: given the steps of each neighbour, it writes them."""


@dataclass(frozen=True)
class Direction:
    """A seed's noise, and how far to go along it."""

    seed: int
    weight: float
    """In units of the weights: σ for a perturbation."""


def move(model: nn.Module, directions: Sequence[Direction]) -> None:
    """Adds Σ w_n ε(s_n) to the model's weights in place."""
    weights = dict(model.named_parameters())
    Writer(weights, weights).write([directions])


def shift(weights: Tensor, name: str, directions: Sequence[Direction]) -> None:
    """Adds Σ w_n ε(s_n) to a parameter of this name in place."""
    Writer({name: weights}, {name: weights}).write([directions])


class Writer:
    """Writes M neighbours of a centre to `out`, whose tensors hold one of them after another.

    With one neighbour `out` may be the centre's own memory. What the kernel has to know of it is kept between calls.
    """

    def __init__(self, out: Weights, centre: Weights, count: int = 1):
        """`count`: M."""
        self.out, self.centre, self.count = out, centre, count
        self._pairs = [(base, out[name]) for name, base in centre.items()]
        self._tensors = [tensor for pair in self._pairs for tensor in pair]
        self._pointers: list[int] = []
        self._launches: list[Launched] = []

    @torch.no_grad()
    def write(self, neighbours: Sequence[Sequence[Direction]]) -> None:
        """Writes θ + Σ w_n ε(s_n) of each neighbour; a weight of 0 adds nothing, to the bit."""
        assert len(neighbours) == self.count
        steps = [[(step.seed, step.weight) for step in own if step.weight != 0] for own in neighbours]
        pointers = list(map(Tensor.data_ptr, self._tensors))
        if pointers != self._pointers:  # the first time, and where the model has moved to another device
            self._pointers, self._launches = pointers, self._prepared() if self._fits_kernel() else []
        if self._launches and all(abs(weight) >= noise.SMALLEST_WEIGHT for own in steps for _, weight in own):
            for launch in self._launches:
                launch(steps)
            return
        for name, base in self.centre.items():
            for out_N, own in zip(self.out[name].view(self.count, -1), steps, strict=True):
                _write(out_N, base.view(-1), name, own)

    def _fits_kernel(self) -> bool:
        """Whether all lies on one GPU, in types that the kernel takes."""
        if len({tensor.device for tensor in self._tensors}) > 1 or not self._tensors[0].is_cuda:
            return False
        from thicket.ops.kernels.noise import TYPES

        return all(base.dtype == out.dtype and base.dtype in TYPES for base, out in self._pairs)

    def _prepared(self) -> list[Launched]:
        """A launch for each type of weights."""
        from thicket.ops.kernels.noise import Launch

        of_type: dict[torch.dtype, list[str]] = {}
        for name, base in self.centre.items():
            of_type.setdefault(base.dtype, []).append(name)
        return [
            Launch(names, [self.centre[name] for name in names], [self.out[name] for name in names], self.count)
            for names in of_type.values()
        ]


def _write(out_N: Tensor, base_N: Tensor, name: str, steps: Sequence[Step]) -> None:
    """One parameter of one neighbour, in plain torch."""
    if not steps:
        out_N.copy_(base_N)
        return
    keyed = [(noise.key_of(seed, name), weight) for seed, weight in steps]
    for start in range(0, base_N.numel(), CHUNK):
        part_N = base_N[start : start + CHUNK]
        total_N = torch.zeros(part_N.shape, device=part_N.device)
        for key, weight in keyed:
            total_N += noise.normal(key, start, start + part_N.numel(), part_N.device).mul_(weight)
        out_N[start : start + CHUNK].copy_(part_N.float() + total_N)


class Neighbourhood:
    """A model's weights, and a copy of them to come back to."""

    def __init__(self, model: nn.Module):
        self.weights = dict(model.named_parameters())
        self.centre = {name: parameter.detach().clone() for name, parameter in self.weights.items()}
        self._model, self._itself = Writer(self.weights, self.centre), Writer(self.centre, self.centre)

    @contextmanager
    def at(self, *directions: Direction) -> Iterator[None]:
        """The model is its neighbour within the block, and what it was after it."""
        try:
            self._model.write([directions])
            yield
        finally:
            self.restore()

    def walk(self, *directions: Direction) -> None:
        """Moves the centre itself, and the model with it."""
        self._itself.write([directions])
        self.restore()

    def restore(self) -> None:
        """Puts the weights of the centre in place."""
        self._model.write([[]])
