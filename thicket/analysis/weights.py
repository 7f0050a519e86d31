"""How models' weights differ from their base's, read from files a few rows of one parameter at a time.

Legend: M models, R random directions, N elements of a parameter (those that are read at once).
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from thicket import ranks
from thicket.analysis.case import Subject
from thicket.models.tensors import Tensors, check_same_shapes
from thicket.ops import noise

CHUNK = 2**22
"""Elements of each model that are read at once, 32 MiB in float64; it changes no more than the last digits."""
KINDS = {
    "q_proj": "q",
    "k_proj": "k",
    "v_proj": "v",
    "o_proj": "o",
    "gate_proj": "gate",
    "up_proj": "up",
    "down_proj": "down",
    "embed_tokens": "embedding",
    "lm_head": "head",
}
"""Name of a module → the kind of its weights and biases. One whose name holds `norm` is a norm; the rest is `other`."""
ALL = "all"
Floats = NDArray[np.float64]
Group = tuple[str, str]
"""Layer and kind."""


class Weights(Tensors):
    """The tensors of a model that is analysed."""

    def __init__(self, subject: Subject, stack: ExitStack):
        super().__init__(subject.folder, stack)
        self.subject = subject


@contextmanager
def opened(subjects: Sequence[Subject]) -> Iterator[list[Weights]]:
    """The models' weights. Raises: ValueError where a model has not the tensors of the first one."""
    with ExitStack() as stack:
        base, *others = [Weights(subject, stack) for subject in subjects]
        for other in others:
            names = base.subject.name, other.subject.name
            check_same_shapes(base, other, names, "can't be compared with {} weight by weight")
        yield [base, *others]


@dataclass(frozen=True)
class _Added:
    """Figures that add up, each for itself."""

    def __add__(self, other: Self) -> Self:
        return type(self)(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(self)))


@dataclass(frozen=True)
class Change(_Added):
    """The differences of M models from their base, over one parameter or several. Changes add up."""

    size: int
    """Weights."""
    square: float
    """Σ w² of the base."""
    products_MM: Floats
    """⟨δ_m, δ_n⟩."""
    unchanged_M: Floats
    """Weights that are equal to the base's."""
    along_MR: Floats
    """⟨δ_m, r⟩ with a random direction r, which in every parameter is as long as δ_m."""
    spread_M: Floats
    """The variance of `along` over random directions, Σ_p ‖δ_mp‖⁴/N_p: of ⟨u, ε/‖ε‖⟩ with a unit vector u it is 1/N."""

    @property
    def norms_M(self) -> Floats:
        return np.sqrt(np.diag(self.products_MM))

    @property
    def relative_M(self) -> Floats:
        """‖δ_m‖/‖w‖; NaN where the base's weights are 0."""
        return _divided(self.norms_M, np.full(self.norms_M.shape, math.sqrt(self.square)))

    @property
    def unchanged_share_M(self) -> Floats:
        return self.unchanged_M / self.size

    @property
    def cosines_MM(self) -> Floats:
        """Of the differences; NaN where one is 0."""
        return _divided(self.products_MM, np.outer(self.norms_M, self.norms_M))

    @property
    def random_cosines_MR(self) -> Floats:
        """Of a difference with random directions that are as long as it in every parameter; NaN where it is 0."""
        return _divided(self.along_MR, np.broadcast_to(np.diag(self.products_MM)[:, None], self.along_MR.shape))

    @property
    def random_deviation_M(self) -> Floats:
        """Standard deviation of such cosines around 0: 1/√d with d weights that move alike; NaN where none moves."""
        return _divided(np.sqrt(self.spread_M), np.diag(self.products_MM))


def _divided(above: Floats, below: Floats) -> Floats:
    return np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0)


@dataclass(frozen=True)
class _Sums(_Added):
    """What some rows of a parameter add to its change, in float64 on the CPU."""

    square: float
    products_MM: Tensor
    unchanged_M: Tensor
    along_MR: Tensor
    """⟨δ_m, ε⟩ with noise ε as it is drawn."""
    noise_squares_R: Tensor

    def change(self, size: int) -> Change:
        """Of the parameter, whose rows are all in."""
        squares_M = self.products_MM.diag()
        along_MR = self.along_MR * (squares_M.unsqueeze(1) / self.noise_squares_R).sqrt()
        spread_M = squares_M.square() / max(1, size)
        arrays = (one.numpy() for one in (self.products_MM, self.unchanged_M, along_MR, spread_M))
        return Change(size, self.square, *arrays)


def changes(
    weights: Sequence[Weights],
    seeds: Sequence[int] = (),
    device: str = "cpu",
    tell: Callable[[float], None] = lambda share: None,
) -> dict[str, Change]:
    """The change of every parameter, by its name in the files; the first model is the base of the others.

    `seeds`: of random directions. `tell` is given the share that is done, of what is this process's.
    """
    shapes = weights[0].shapes
    # Rows and not whole parameters are dealt out: a fifth of a small model is its embedding.
    parts = [(name, rows) for name, shape in shapes.items() for rows in _parts(shape)]

    def read(mine: Sequence[tuple[str, slice]]) -> list[_Sums]:
        found = list[_Sums]()
        for name, rows in mine:
            found.append(_sums(weights, name, rows, seeds, device))
            tell(len(found) / len(mine))
        return found

    sums = dict[str, _Sums]()
    for (name, _), one in zip(parts, ranks.spread(parts, read), strict=True):
        sums[name] = sums[name] + one if name in sums else one
    return {name: one.change(math.prod(shapes[name])) for name, one in sums.items()}


def _parts(shape: Sequence[int]) -> Iterator[slice]:
    """Of a parameter, the rows that are read at once."""
    rows = max(1, CHUNK // max(1, math.prod(shape[1:])))
    for first in range(0, max(1, shape[0]) if shape else 1, rows):
        yield slice(first, first + rows)


@torch.no_grad()
def _sums(weights: Sequence[Weights], name: str, rows: slice, seeds: Sequence[int], device: str) -> _Sums:
    base_N, *others = [one.read(name, rows).flatten().to(device).double() for one in weights]
    delta_MN = torch.stack(others) - base_N
    start = rows.start * math.prod(weights[0].shapes[name][1:])
    noise_squares_R = base_N.new_zeros(len(seeds))
    along_MR = base_N.new_zeros(len(others), len(seeds))
    for place, seed in enumerate(seeds):
        noise_N = noise.normal(noise.key_of(seed, name), start, start + len(base_N), device).double()
        along_MR[:, place] = delta_MN @ noise_N
        noise_squares_R[place] = noise_N @ noise_N
    return _Sums(
        square=float(base_N @ base_N),
        products_MM=(delta_MN @ delta_MN.T).cpu(),
        unchanged_M=(delta_MN == 0).sum(dim=1, dtype=torch.float64).cpu(),
        along_MR=along_MR.cpu(),
        noise_squares_R=noise_squares_R.cpu(),
    )


def random_direction(name: str, size: int, norm: float, seed: int, device: str) -> Tensor:
    """A parameter's part of a random direction, direction_N in float32: even over the sphere of radius `norm`."""
    noise_N = noise.normal(noise.key_of(seed, name), 0, size, device)
    return noise_N.mul_(norm / float(torch.linalg.vector_norm(noise_N, dtype=torch.float64)))


def group(name: str) -> Group:
    """The layer and the kind of a parameter by its name: `("3", "q")`; the layer is empty outside of layers."""
    parts = [part for part in name.split(".") if part not in ("weight", "bias")]
    layer = next((part for part in parts if part.isdigit()), "")
    module = parts[-1] if parts else name
    return layer, "norm" if "norm" in module else KINDS.get(module, "other")


def grouped(by_name: Mapping[str, Change]) -> dict[Group, Change]:
    """Changes of each kind in each layer, of each kind in all layers, and of all: layer or kind are `all` then."""
    found: dict[Group, Change] = {}
    for name, change in by_name.items():
        layer, kind = group(name)
        for key in ((layer, kind), (ALL, kind), (ALL, ALL)):
            found[key] = found[key] + change if key in found else change
    return found


def defined(value: float) -> float | None:
    """None for NaN, which no table holds."""
    return float(value) if math.isfinite(value) else None
