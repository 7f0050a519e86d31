"""How models' weights differ from their base's, read from files a few rows of one parameter at a time.

Legend: M models, R random directions, N elements of a parameter (those that are read at once).
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

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
class Change:
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

    def __add__(self, other: "Change") -> "Change":
        return Change(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(Change)))

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


def changes(
    weights: Sequence[Weights],
    seeds: Sequence[int] = (),
    device: str = "cpu",
    tell: Callable[[float], None] = lambda share: None,
) -> dict[str, Change]:
    """The change of every parameter, by its name in the files; the first model is the base of the others.

    `seeds`: of random directions. `tell` is given the share that is done.
    """
    shapes, found, done = weights[0].shapes, dict[str, Change](), 0
    total = sum(map(math.prod, shapes.values()))
    for name, shape in shapes.items():
        found[name] = _change(weights, name, seeds, device)
        done += math.prod(shape)
        tell(done / total)
    return found


@torch.no_grad()
def _change(weights: Sequence[Weights], name: str, seeds: Sequence[int], device: str) -> Change:
    shape, models = weights[0].shapes[name], len(weights) - 1
    width = math.prod(shape[1:])
    rows, size = max(1, CHUNK // max(1, width)), math.prod(shape)
    square, noise_squares_R = 0.0, torch.zeros(len(seeds), dtype=torch.float64, device=device)
    products_MM, along_MR = (noise_squares_R.new_zeros(models, count) for count in (models, len(seeds)))
    unchanged_M = noise_squares_R.new_zeros(models)
    for first in range(0, shape[0] if shape else 1, rows):
        part = slice(first, first + rows)
        base_N, *others = [one.read(name, part).flatten().to(device).double() for one in weights]
        delta_MN = torch.stack(others) - base_N
        square += float(base_N @ base_N)
        products_MM += delta_MN @ delta_MN.T
        unchanged_M += (delta_MN == 0).sum(dim=1)
        for place, seed in enumerate(seeds):
            start = first * width
            noise_N = noise.normal(noise.key_of(seed, name), start, start + len(base_N), device).double()
            along_MR[:, place] += delta_MN @ noise_N
            noise_squares_R[place] += noise_N @ noise_N
    squares_M1 = products_MM.diag().unsqueeze(1)
    return Change(
        size=size,
        square=square,
        products_MM=products_MM.cpu().numpy(),
        unchanged_M=unchanged_M.cpu().numpy(),
        along_MR=(along_MR * (squares_M1 / noise_squares_R).sqrt()).cpu().numpy(),
        spread_M=(products_MM.diag().square() / max(1, size)).cpu().numpy(),
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
