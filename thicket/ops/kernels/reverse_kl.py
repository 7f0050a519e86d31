"""Reverse KL and its gradient straight from hidden states: logits never reach memory as such.

A tile's logits (some tokens, some of the vocabulary) are made of student and teacher in registers, and leave them as
two halves: e^(s − the tile's maximum), and s − t less its mean over the tile. Both keep 11 bits of what the gradient is
made of, p ⊙ (log p − log q − KL), whatever the size of the logits themselves (fewer of p where it is below 1/16,000 of
the tile's largest). Then the tiles' sums give each token's
normaliser and divergence, and one pass over the halves writes the gradient in the place of the first.

Up to four teachers are summed in registers beside that, for Σ_k w_k KL(p ‖ q_k) needs no more of them than their
weighted sum and what normalises each. More of them come before, four at a time, through a sum in memory.
"""

from collections.abc import Sequence
from itertools import chain
from typing import Any

import torch
import triton  # pyright: ignore[reportMissingImports]
import triton.language as tl  # pyright: ignore[reportMissingImports]
from torch import Tensor
from triton.tools.tensor_descriptor import TensorDescriptor  # pyright: ignore[reportMissingImports]

from thicket.ops.head import Head

TILE = {"TOKENS": 128, "WORDS": 128, "INNER": 64, "num_stages": 5, "num_warps": 8}
"""A tile of a matrix product: tokens, vocabulary, steps along the hidden width."""
TOGETHER = 4
"""Teachers that one launch reads."""
WRITTEN = 16
"""Tiles of a token's gradient that are written at once."""
STUDENT = 4
"""Figures of a tile of the student: maximum, sum of exp(s − maximum), mean of s − t, sum of exp(s − maximum) · s."""
ALIGNED = 8
"""Elements of two bytes: a row of what the copy engine reads is a multiple of 16 bytes."""
LOG2E = tl.constexpr(1.4426950408889634)
HALF_MAX = tl.constexpr(65504.0)


def halves(tokens: int, words: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Memory for the two halves of so many tokens' logits, each NV with rows that the copy engine can read."""
    made = (torch.empty((tokens, -(-words // ALIGNED) * ALIGNED), dtype=torch.float16, device=device) for _ in range(2))
    return next(made), next(made)


@triton.jit
def _logits(
    hidden, weight, bias, width, scale, cap, row, column, words,
    TOKENS: tl.constexpr, WORDS: tl.constexpr, INNER: tl.constexpr,
):  # fmt: skip
    """A tile of logits as the model gives them, −∞ beyond the words."""
    made = tl.zeros([TOKENS, WORDS], tl.float32)
    for h in range(0, width, INNER):
        made = tl.dot(hidden.load([row, h]), weight.load([column, h]).T, made)
    v = column + tl.arange(0, WORDS)
    if bias is not None:
        made += tl.load(bias + v, mask=v < words, other=0.0).to(tl.float32)[None, :]
    made *= scale
    if cap is not None:
        made = cap * (2 * tl.sigmoid(2 * made / cap) - 1)
    return tl.where(v[None, :] < words, made, float("-inf"))


@triton.jit
def _normaliser(logits, figures, at, size, mask):
    """Stores the maximum of each token's tile and the sum under it, and returns the exponentials and their sum."""
    top = tl.max(logits, axis=1)
    exps = tl.exp2((logits - top[:, None]) * LOG2E)
    total = tl.sum(exps, axis=1)
    tl.store(figures + at, top, mask=mask)
    tl.store(figures + size + at, total, mask=mask)
    return exps, total


@triton.jit
def _teacher(
    hidden, weight, bias, width, scale, cap, share, row, column, words, figures, at, size, real,
    TOKENS: tl.constexpr, WORDS: tl.constexpr, INNER: tl.constexpr,
):  # fmt: skip
    """A tile of a teacher's logits times its share; what normalises them goes to its figures."""
    logits = _logits(hidden, weight, bias, width, scale, cap, row, column, words, TOKENS, WORDS, INNER)
    _normaliser(logits, figures, at, size, real)
    return logits * share


@triton.jit
def _taught(
    hidden_a, weight_a, bias_a, width_a, scale_a, cap_a, share_a,
    hidden_b, weight_b, bias_b, width_b, scale_b, cap_b, share_b,
    hidden_c, weight_c, bias_c, width_c, scale_c, cap_c, share_c,
    hidden_d, weight_d, bias_d, width_d, scale_d, cap_d, share_d,
    row, column, words, of_teachers, at, size, real, TOKENS: tl.constexpr, WORDS: tl.constexpr, INNER: tl.constexpr,
):  # fmt: skip
    """A tile of the weighted sum of up to four teachers' logits. The copy engine's descriptors fit in no tuple."""
    t = _teacher(
        hidden_a, weight_a, bias_a, width_a, scale_a, cap_a, share_a, row, column, words, of_teachers, at, size, real,
        TOKENS, WORDS, INNER,
    )  # fmt: skip
    if hidden_b is not None:
        t += _teacher(
            hidden_b, weight_b, bias_b, width_b, scale_b, cap_b, share_b, row, column, words,
            of_teachers + 2 * size, at, size, real, TOKENS, WORDS, INNER,
        )  # fmt: skip
    if hidden_c is not None:
        t += _teacher(
            hidden_c, weight_c, bias_c, width_c, scale_c, cap_c, share_c, row, column, words,
            of_teachers + 4 * size, at, size, real, TOKENS, WORDS, INNER,
        )  # fmt: skip
    if hidden_d is not None:
        t += _teacher(
            hidden_d, weight_d, bias_d, width_d, scale_d, cap_d, share_d, row, column, words,
            of_teachers + 6 * size, at, size, real, TOKENS, WORDS, INNER,
        )  # fmt: skip
    return t


@triton.jit
def _pool(
    hidden_a, weight_a, bias_a, width_a, scale_a, cap_a, share_a,
    hidden_b, weight_b, bias_b, width_b, scale_b, cap_b, share_b,
    hidden_c, weight_c, bias_c, width_c, scale_c, cap_c, share_c,
    hidden_d, weight_d, bias_d, width_d, scale_d, cap_d, share_d,
    pooled, of_teachers, rows, tiles, words, FIRST: tl.constexpr,
    TOKENS: tl.constexpr, WORDS: tl.constexpr, INNER: tl.constexpr,
):  # fmt: skip
    """Adds up to four teachers' logits to the pooled ones."""
    row, tile = tl.program_id(0) % tl.cdiv(rows, TOKENS) * TOKENS, tl.program_id(0) // tl.cdiv(rows, TOKENS)
    column, n = tile * WORDS, row + tl.arange(0, TOKENS)
    t = _taught(
        hidden_a, weight_a, bias_a, width_a, scale_a, cap_a, share_a,
        hidden_b, weight_b, bias_b, width_b, scale_b, cap_b, share_b,
        hidden_c, weight_c, bias_c, width_c, scale_c, cap_c, share_c,
        hidden_d, weight_d, bias_d, width_d, scale_d, cap_d, share_d,
        row, column, words, of_teachers, n * tiles + tile, rows * tiles, n < rows, TOKENS, WORDS, INNER,
    )  # fmt: skip
    t = tl.where((column + tl.arange(0, WORDS) < words)[None, :], t, 0.0)
    if FIRST:
        pooled.store([row, column], t)
    else:
        pooled.atomic_add([row, column], t)


@triton.jit
def _compare(
    hidden_a, weight_a, bias_a, width_a, scale_a, cap_a, share_a,
    hidden_b, weight_b, bias_b, width_b, scale_b, cap_b, share_b,
    hidden_c, weight_c, bias_c, width_c, scale_c, cap_c, share_c,
    hidden_d, weight_d, bias_d, width_d, scale_d, cap_d, share_d,
    hidden, weight, bias, width, scale, cap, pooled, exps_out, gaps_out, figures, of_teachers, rows, tiles, words,
    TOKENS: tl.constexpr, WORDS: tl.constexpr, INNER: tl.constexpr,
):  # fmt: skip
    """The halves of a tile of the student beside the teachers, of which the last ones are read here."""
    row, tile = tl.program_id(0) % tl.cdiv(rows, TOKENS) * TOKENS, tl.program_id(0) // tl.cdiv(rows, TOKENS)
    column = tile * WORDS
    n, v = tl.arange(0, TOKENS), tl.arange(0, WORDS)
    real, inside = row + n < rows, (column + v < words)[None, :]
    at, size = (row + n) * tiles + tile, rows * tiles
    t = _taught(
        hidden_a, weight_a, bias_a, width_a, scale_a, cap_a, share_a,
        hidden_b, weight_b, bias_b, width_b, scale_b, cap_b, share_b,
        hidden_c, weight_c, bias_c, width_c, scale_c, cap_c, share_c,
        hidden_d, weight_d, bias_d, width_d, scale_d, cap_d, share_d,
        row, column, words, of_teachers, at, size, real, TOKENS, WORDS, INNER,
    )  # fmt: skip
    s = _logits(hidden, weight, bias, width, scale, cap, row, column, words, TOKENS, WORDS, INNER)
    if pooled is not None:
        t += pooled.load([row, column])
    exps, total = _normaliser(s, figures, at, size, real)
    gap = tl.where(inside, s - t, 0.0)
    mean = tl.sum(exps * gap, axis=1) / total
    tl.store(figures + 2 * size + at, mean, mask=real)
    tl.store(figures + 3 * size + at, tl.sum(exps * tl.where(inside, s, 0.0), axis=1), mask=real)
    gap = tl.clamp(gap - mean[:, None], -HALF_MAX, HALF_MAX)
    exps_out.store([row, column], exps.to(tl.float16))
    gaps_out.store([row, column], gap.to(tl.float16))


@triton.jit
def _merge(
    figures, teachers, shares, values, entropies, rows, tiles, count, TILES: tl.constexpr
):  # fmt: skip
    """From the tiles of a token to its divergence, and to what scales and shifts each tile of the gradient."""
    row = tl.program_id(0)
    t = tl.arange(0, TILES)
    real, size = t < tiles, rows * tiles
    at = figures + row * tiles + t
    top_T = tl.load(at, mask=real, other=float("-inf"))
    sum_T = tl.load(at + size, mask=real, other=0.0)
    mean_T = tl.load(at + 2 * size, mask=real, other=0.0)
    of_s_T = tl.load(at + 3 * size, mask=real, other=0.0)
    top = tl.max(top_T, axis=0)
    in_units_T = tl.exp(top_T - top)
    total = tl.sum(sum_T * in_units_T, axis=0)
    gap = tl.sum(sum_T * in_units_T * mean_T, axis=0) / total
    log_z = top + tl.log(total)
    tl.store(entropies + row, log_z - tl.sum(of_s_T * in_units_T, axis=0) / total)
    value = gap - log_z
    for k in range(0, count):
        teacher = teachers + 2 * k * size + row * tiles + t
        top_T = tl.load(teacher, mask=real, other=float("-inf"))
        top_k = tl.max(top_T, axis=0)
        sum_k = tl.sum(tl.load(teacher + size, mask=real, other=0.0) * tl.exp(top_T - top_k), axis=0)
        value += tl.load(shares + k) * (top_k + tl.log(sum_k))
    tl.store(values + row, value)
    tl.store(at + size, in_units_T / total, mask=real)
    tl.store(at + 2 * size, mean_T - gap, mask=real)


@triton.jit
def _gradient(
    exps_in, gaps_in, stride, figures, weights, rows, tiles, words, width, scale, cap,
    HAS_CAP: tl.constexpr, TILES: tl.constexpr, WORDS: tl.constexpr,
):  # fmt: skip
    """Writes the gradient over the first half."""
    row = tl.program_id(1)
    tile = tl.program_id(0) * TILES + tl.arange(0, TILES)
    at, size, real = figures + row * tiles + tile, rows * tiles, tile < tiles
    unit = tl.load(at + size, mask=real, other=0.0)[:, None]
    shift = tl.load(at + 2 * size, mask=real, other=0.0)[:, None]
    v = tile[:, None] * WORDS + tl.arange(0, WORDS)[None, :]
    place = row.to(tl.int64) * stride + v
    exps = tl.load(exps_in + place, mask=v < words, other=0.0).to(tl.float32)
    gap = tl.load(gaps_in + place, mask=v < words, other=0.0).to(tl.float32)
    slope = exps * unit * (gap + shift) * (tl.load(weights + row) * scale)
    if HAS_CAP:
        s = tl.load(at, mask=real, other=0.0)[:, None] + tl.log(tl.maximum(exps, 1e-8))
        slope *= 1 - (s / cap) * (s / cap)
    out = (exps_in + place).to(tl.pointer_type(tl.bfloat16))
    tl.store(out, slope.to(tl.bfloat16), mask=v < width)


_KERNELS: Any = (_pool, _compare, _merge, _gradient)


def reverse_kl_gradient(
    hidden_NH: Tensor,
    head: Head,
    teachers: Sequence[tuple[Tensor, Head]],
    shares: Sequence[float],
    shares_K: Tensor,
    weights_N: Tensor,
    words: int,
    room: tuple[Tensor, Tensor],
    pooled_NV: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Σ_k share_k KL(p ‖ q_k) and the student's entropy, each _N, and d(Σ_n weight_n · KL_n)/d(student's logits).

    `teachers`: last hidden states of the same tokens, each with its head. `shares_K` are the shares on the device. The
    gradient, gradient_NV in bfloat16, takes the place of the first half of the room, for the head as it is before scale
    and cap; columns from `words` on are padding, and zero. `pooled_NV`, float32 with rows as long as the room's, is
    wanted where there are more teachers than one launch reads.
    """
    exps_NV, gaps_NV = (half[: len(hidden_NH)] for half in room)
    pooled = None if pooled_NV is None else _tiled(pooled_NV[: len(hidden_NH)])
    rows, width, stride, count = len(hidden_NH), len(head.weight_VH), exps_NV.stride(0), len(teachers)
    tiles, device = triton.cdiv(words, TILE["WORDS"]), hidden_NH.device
    figures = torch.empty((STUDENT + 2 * count, rows, tiles), device=device)
    values_N, entropies_N = (torch.empty(rows, device=device) for _ in range(2))
    pool, compare, merge, gradient = _KERNELS
    asked = [(*_read(*teacher), share) for teacher, share in zip(teachers, shares, strict=True)]
    grid, last = (triton.cdiv(rows, TILE["TOKENS"]) * tiles,), (count - 1) // TOGETHER * TOGETHER
    for k in range(0, last, TOGETHER):
        pool[grid](
            *_slots(asked[k : k + TOGETHER]), pooled, figures[STUDENT + 2 * k], rows, tiles, words, k == 0, **TILE
        )
    compare[grid](
        *_slots(asked[last:]), *_read(hidden_NH, head), pooled, _tiled(exps_NV), _tiled(gaps_NV), figures,
        figures[STUDENT + 2 * last], rows, tiles, words, **TILE,
    )  # fmt: skip
    merge[(rows,)](
        figures, figures[STUDENT], shares_K, values_N, entropies_N, rows, tiles, count,
        TILES=triton.next_power_of_2(tiles),
    )  # fmt: skip
    gradient[(triton.cdiv(width, WRITTEN * TILE["WORDS"]), rows)](
        exps_NV, gaps_NV, stride, figures, weights_N, rows, tiles, words, width, head.scale, head.cap or 1.0,
        HAS_CAP=head.cap is not None, TILES=WRITTEN, WORDS=TILE["WORDS"],
    )  # fmt: skip
    return values_N, entropies_N, exps_NV.view(torch.bfloat16)[:, :width]


def _read(hidden_NH: Tensor, head: Head) -> tuple[Any, ...]:
    """Hidden states and head as the copy engine takes them, and what else makes logits of them."""
    hidden = TensorDescriptor.from_tensor(hidden_NH, [TILE["TOKENS"], TILE["INNER"]])
    weight = TensorDescriptor.from_tensor(head.weight_VH, [TILE["WORDS"], TILE["INNER"]])
    return hidden, weight, head.bias_V, hidden_NH.shape[1], head.scale, head.cap


def _slots(teachers: Sequence[tuple[Any, ...]]) -> tuple[Any, ...]:
    """The teachers of a launch as its arguments, None for those that are not there."""
    given = tuple(chain.from_iterable(teachers))
    return given + (None,) * (len(given) // len(teachers) * TOGETHER - len(given))


def _tiled(logits_NV: Tensor) -> Any:
    """What the copy engine writes a tile to."""
    return TensorDescriptor.from_tensor(logits_NV, [TILE["TOKENS"], TILE["WORDS"]])
