"""Reverse KL and its gradient straight from hidden states: logits never reach memory as such.

A tile's logits (some tokens, some of the vocabulary) are made of student and teacher in registers, and leave them as
two halves: the probabilities within the tile, and s − t less its mean over the tile. Both keep 11 bits of what the
gradient is made of, p ⊙ (log p − log q − KL), whatever the size of the logits themselves (fewer of p where it is below
a 60,000th of an even share of the tile). Then the tiles' figures give each token's normaliser and divergence, and one
pass over the halves writes the gradient in the place of the first: with 11 bits too, so that what is rounded to
bfloat16 is the products of it alone.

Up to four teachers are summed beside that, for Σ_k w_k KL(p ‖ q_k) needs no more of them than their weighted sum and
what normalises each. More of them come before, four at a time, through a sum in memory.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import triton  # pyright: ignore[reportMissingImports]
import triton.language as tl  # pyright: ignore[reportMissingImports]
from torch import Tensor

from thicket.ops.from_hidden import FIGURES, SUMMED, TOGETHER, WORDS
from thicket.ops.head import Head
from thicket.ops.kernels.reverse_kl_tiles import read_tiles

WRITTEN = 8
"""Tiles of a token's gradient that are written at once."""
ALIGNED = 8
"""Elements of two bytes: a row of what the copy engine reads is a multiple of 16 bytes."""
LN2 = tl.constexpr(0.6931471805599453)
HALF_MAX = tl.constexpr(65504.0)
UNIT = tl.constexpr(2.0**-SUMMED)
"""What a tile's probabilities are to be multiplied by to sum to one."""


@dataclass(frozen=True)
class Room:
    """Memory for what is left of some tokens' logits, in one piece: an allocator rounds up each piece it gives."""

    halves: tuple[Tensor, Tensor]
    """Each NV, with rows that the copy engine can read."""
    figures: Tensor
    """Of all tiles, flat."""

    @staticmethod
    def of(tokens: int, width: int, words: int, teachers: int, device: torch.device) -> "Room":
        """For so many tokens; `width`: rows of the head, of which the first ones are words."""
        row, figures = -(-width // ALIGNED) * ALIGNED, (FIGURES + teachers) * tokens * triton.cdiv(words, WORDS)
        piece = torch.empty(2 * tokens * row + 2 * figures, dtype=torch.float16, device=device)
        one, other = piece[: 2 * tokens * row].view(2, tokens, row)
        return Room((one, other), piece[2 * tokens * row :].view(torch.float32))

    def figures_of(self, rows: int, tiles: int, teachers: int) -> Tensor:
        """Of fewer tokens, maybe."""
        return self.figures[: (FIGURES + teachers) * rows * tiles].view(FIGURES + teachers, rows, tiles)


@triton.jit
def _merge(
    figures, teachers, shares, values, entropies, rows, tiles, count, TILES: tl.constexpr
):  # fmt: skip
    """From the tiles of a token to its divergence, and to what scales and shifts each tile of the gradient."""
    row = tl.program_id(0)
    t = tl.arange(0, TILES)
    real, size = t < tiles, rows * tiles
    at = figures + row * tiles + t
    norm_T = tl.load(at, mask=real, other=float("-inf"))
    mean_T = tl.load(at + size, mask=real, other=0.0)
    of_s_T = tl.load(at + 2 * size, mask=real, other=0.0)
    top = tl.max(norm_T, axis=0)
    part_T = tl.exp2(norm_T - top)
    total = tl.sum(part_T, axis=0)
    part_T /= total
    log_z, gap = top + tl.log2(total), tl.sum(part_T * mean_T, axis=0)
    tl.store(entropies + row, log_z * LN2 - tl.sum(part_T * of_s_T, axis=0))
    apart = -log_z
    for k in range(0, count):
        norm_T = tl.load(teachers + k * size + row * tiles + t, mask=real, other=float("-inf"))
        top = tl.max(norm_T, axis=0)
        apart += tl.load(shares + k) * (top + tl.log2(tl.sum(tl.exp2(norm_T - top), axis=0)))
    tl.store(values + row, gap + apart * LN2)
    tl.store(at + size, mean_T - gap, mask=real)
    tl.store(at + 2 * size, part_T * UNIT, mask=real)


@triton.jit
def _gradient(
    exps_in, gaps_in, stride, figures, weights, rows, tiles, words, width, scale, cap,
    HAS_CAP: tl.constexpr, TILES: tl.constexpr, WORDS: tl.constexpr,
):  # fmt: skip
    """Writes the gradient over the first half."""
    row = tl.program_id(1)
    tile = tl.program_id(0) * TILES + tl.arange(0, TILES)
    at, size, real = figures + row * tiles + tile, rows * tiles, tile < tiles
    unit = tl.load(at + 2 * size, mask=real, other=0.0)[:, None]
    shift = tl.load(at + size, mask=real, other=0.0)[:, None]
    v = tile[:, None] * WORDS + tl.arange(0, WORDS)[None, :]
    place = row.to(tl.int64) * stride + v
    exps = tl.load(exps_in + place, mask=v < words, other=0.0).to(tl.float32)
    gap = tl.load(gaps_in + place, mask=v < words, other=0.0).to(tl.float32)
    slope = exps * unit * (gap + shift) * (tl.load(weights + row) * scale)
    if HAS_CAP:
        s = (tl.load(at, mask=real, other=0.0)[:, None] + tl.log2(tl.maximum(exps, 1e-8) * UNIT)) * LN2
        slope *= 1 - (s / cap) * (s / cap)
    slope = tl.minimum(tl.maximum(slope, -HALF_MAX), HALF_MAX)
    tl.store(exps_in + place, slope.to(tl.float16), mask=v < width)


_KERNELS: Any = (_merge, _gradient)


def reverse_kl_gradient(
    hidden_NH: Tensor,
    head: Head,
    teachers: Sequence[tuple[Tensor, Head]],
    shares: Sequence[float],
    shares_K: Tensor,
    weights_N: Tensor,
    words: int,
    room: Room,
    pooled_NV: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Σ_k share_k KL(p ‖ q_k) and the student's entropy, each _N, and d(Σ_n weight_n · KL_n)/d(student's logits).

    `teachers`: last hidden states of the same tokens, each with its head. `shares_K` are the shares on the device. The
    gradient, gradient_NV in float16, takes the place of the first of the room's halves, for the head before scale and
    cap; columns from `words` on are padding, and zero. `pooled_NV`, float32 with rows as long as the room's, is
    wanted where there are more teachers than one launch reads.
    """
    exps_NV, gaps_NV = halves_NV = room.halves[0][: len(hidden_NH)], room.halves[1][: len(hidden_NH)]
    rows, width, stride, count = len(hidden_NH), len(head.weight_VH), exps_NV.stride(0), len(teachers)
    tiles, device = triton.cdiv(words, WORDS), hidden_NH.device
    figures = room.figures_of(rows, tiles, count)
    values_N, entropies_N = (torch.empty(rows, device=device) for _ in range(2))
    for k in range(0, count, TOGETHER):
        part = slice(k, k + TOGETHER)
        student = (hidden_NH, head) if k + TOGETHER >= count else None
        read_tiles(
            teachers[part], shares[part], student, halves_NV, pooled_NV, figures, figures[FIGURES + k :], words, k > 0
        )
    merge, gradient = _KERNELS
    merge[(rows,)](
        figures, figures[FIGURES:], shares_K, values_N, entropies_N, rows, tiles, count,
        TILES=triton.next_power_of_2(tiles),
    )  # fmt: skip
    gradient[(triton.cdiv(width, WRITTEN * WORDS), rows)](
        exps_NV, gaps_NV, stride, figures, weights_N, rows, tiles, words, width, head.scale, head.cap or 1.0,
        HAS_CAP=head.cap is not None, TILES=WRITTEN, WORDS=WORDS,
    )  # fmt: skip
    return values_N, entropies_N, exps_NV[:, :width]
