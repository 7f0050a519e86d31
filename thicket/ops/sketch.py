"""Sketches of long vectors: a random linear map to M numbers that keeps lengths and angles.

A vector's elements get random signs and fall into M buckets, which are sums (a count sketch: Charikar, Chen &
Farach-Colton 2002; Weinberger et al. 2009, arXiv 0902.2206). Elements of a row of M fall into different buckets: a row
is turned by a random number of places. Two elements of different rows share a bucket with chance 1/M, so that for
vectors x and y, over the draws of the map,

    E⟨Sx, Sy⟩ = ⟨x, y⟩   and   sd⟨Sx, Sy⟩ ≤ √(2/M)·|x||y|.

The map is a function of a key: vectors sketched with equal keys can be compared and added. Legend: N elements of a
part, M numbers of the sketch.
"""

import torch
from torch import Tensor

from thicket.ops import draws

CHUNK = 2**20
"""Elements that are mapped at once; it does not change the result but for rounding."""
_BITS = 64
"""Signs that a word gives."""
_SIGNS, _TURNS = 0, 1


def add(sketch_M: Tensor, part: Tensor, key: int) -> None:
    """Adds the sketch of a part of a long vector, such as a parameter's gradient, in place; each part has its key.

    Raises: ValueError where M is not a power of two from 64 on.
    """
    size = len(sketch_M)
    if size < _BITS or size & (size - 1):
        raise ValueError(f"a sketch has a power of two from {_BITS} on as its size, not {size}")
    flat_N, chunk = part.detach().reshape(-1), max(CHUNK, size)
    turns = _turns(key, -(-flat_N.numel() // size), size)
    for start in range(0, flat_N.numel(), chunk):
        piece_N = flat_N[start : start + chunk]
        rows = (piece_N * _signs(key, start, len(piece_N), piece_N.dtype, piece_N.device)).split(size)
        for row, turn in zip(rows, turns[start // size :], strict=False):
            before = size - turn
            sketch_M[turn : turn + len(row)] += row[:before]
            sketch_M[: max(0, len(row) - before)] += row[before:]


def _signs(key: int, start: int, count: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """−1 or 1 for each element from `start` on, a multiple of 64: by the bits of words, the lowest first."""
    numbers = torch.arange(start // _BITS, -(-(start + count) // _BITS), device=device)
    bytes_of_words = draws.mixed(numbers ^ draws.signed(draws.key(key, _SIGNS))).view(torch.uint8)
    values = torch.arange(256, device=device).unsqueeze(1) >> torch.arange(8, device=device)
    of_byte = ((values & 1) * 2 - 1).to(dtype)
    return of_byte[bytes_of_words.int()].flatten()[:count]


def _turns(key: int, rows: int, size: int) -> list[int]:
    """By how many places each row is turned."""
    words = draws.mixed(torch.arange(rows) ^ draws.signed(draws.key(key, _TURNS)))
    return (words & (size - 1)).tolist()
