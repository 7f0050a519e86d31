"""Reverse KL and its gradient straight from hidden states: logits never reach memory as such.

A tile's logits (some tokens, some of the vocabulary) are made of student and teacher in registers, and leave them as
two halves: e^(s − the tile's maximum), and s − t less its mean over the tile. Both keep 11 bits of what the gradient is
made of, p ⊙ (log p − log q − KL), whatever the size of the logits themselves (fewer of p where it is below 1/16,000 of
the tile's largest). Then the tiles' sums give each token's
normaliser and divergence, and one pass over the halves writes the gradient in the place of the first.

Further teachers come before, one at a time, and add to a pooled sum: Σ_k w_k KL(p ‖ q_k) needs no more of them, beside
what normalises each.
"""

from collections.abc import Sequence
from typing import Any

import torch
import triton  # pyright: ignore[reportMissingImports]
import triton.language as tl  # pyright: ignore[reportMissingImports]
from torch import Tensor
from triton.tools.tensor_descriptor import TensorDescriptor  # pyright: ignore[reportMissingImports]

from thicket.ops.head import Head

TILE = {"TOKENS": 128, "WORDS": 128, "INNER": 64, "num_stages": 5, "num_warps": 8}
"""A tile of the products of student and last teacher: tokens, vocabulary, steps along the hidden width."""
POOL_TILE = {"TOKENS": 128, "WORDS": 256, "INNER": 64, "num_stages": 4, "num_warps": 8}
"""The same for a teacher that is pooled."""
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
    hidden, weight, bias, row, column, width, words, scale, cap,
    HAS_BIAS: tl.constexpr, HAS_CAP: tl.constexpr, TOKENS: tl.constexpr, WORDS: tl.constexpr, INNER: tl.constexpr,
):  # fmt: skip
    """A tile of logits as the model gives them, −∞ beyond the words."""
    made = tl.zeros([TOKENS, WORDS], tl.float32)
    for h in range(0, width, INNER):
        made = tl.dot(hidden.load([row, h]), weight.load([column, h]).T, made)
    v = column + tl.arange(0, WORDS)
    if HAS_BIAS:
        made += tl.load(bias + v, mask=v < words, other=0.0).to(tl.float32)[None, :]
    made *= scale
    if HAS_CAP:
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
def _pool(
    hidden, weight, bias, pooled, figures, rows, tiles, width, words, share, scale, cap,
    FIRST: tl.constexpr, HAS_BIAS: tl.constexpr, HAS_CAP: tl.constexpr,
    TOKENS: tl.constexpr, WORDS: tl.constexpr, INNER: tl.constexpr,
):  # fmt: skip
    """Adds a teacher's logits to the pooled ones."""
    row, tile = tl.program_id(0) % tl.cdiv(rows, TOKENS) * TOKENS, tl.program_id(0) // tl.cdiv(rows, TOKENS)
    column = tile * WORDS
    logits = _logits(
        hidden, weight, bias, row, column, width, words, scale, cap, HAS_BIAS, HAS_CAP, TOKENS, WORDS, INNER
    )
    n = row + tl.arange(0, TOKENS)
    _normaliser(logits, figures, n * tiles + tile, rows * tiles, n < rows)
    given = tl.where((column + tl.arange(0, WORDS) < words)[None, :], logits * share, 0.0)
    if FIRST:
        pooled.store([row, column], given)
    else:
        pooled.atomic_add([row, column], given)


@triton.jit
def _compare(
    hidden, weight, bias, teacher_hidden, teacher_weight, teacher_bias, pooled, exps_out, gaps_out, figures,
    of_teacher, rows, tiles, width, teacher_width, words, share, scale, cap, teacher_scale, teacher_cap,
    POOLED: tl.constexpr, HAS_BIAS: tl.constexpr, HAS_CAP: tl.constexpr, TEACHER_HAS_BIAS: tl.constexpr,
    TEACHER_HAS_CAP: tl.constexpr, TOKENS: tl.constexpr, WORDS: tl.constexpr, INNER: tl.constexpr,
):  # fmt: skip
    """The halves of a tile of the student beside the teachers, of which the last is read here."""
    row, tile = tl.program_id(0) % tl.cdiv(rows, TOKENS) * TOKENS, tl.program_id(0) // tl.cdiv(rows, TOKENS)
    column = tile * WORDS
    t = _logits(
        teacher_hidden, teacher_weight, teacher_bias, row, column, teacher_width, words, teacher_scale, teacher_cap,
        TEACHER_HAS_BIAS, TEACHER_HAS_CAP, TOKENS, WORDS, INNER,
    )  # fmt: skip
    s = _logits(hidden, weight, bias, row, column, width, words, scale, cap, HAS_BIAS, HAS_CAP, TOKENS, WORDS, INNER)
    n, v = tl.arange(0, TOKENS), tl.arange(0, WORDS)
    real, inside = row + n < rows, (column + v < words)[None, :]
    at, size = (row + n) * tiles + tile, rows * tiles
    _normaliser(t, of_teacher, at, size, real)
    if POOLED:
        t = t * share + pooled.load([row, column])
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
    figures, teachers, shares, values, entropies, rows, tiles, pool_tiles, count, TILES: tl.constexpr
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
        own = tl.where(k < count - 1, pool_tiles, tiles)
        teacher = teachers + 2 * k * size + row * own + t
        top_T = tl.load(teacher, mask=t < own, other=float("-inf"))
        top_k = tl.max(top_T, axis=0)
        sum_k = tl.sum(tl.load(teacher + rows * own, mask=t < own, other=0.0) * tl.exp(top_T - top_k), axis=0)
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
    wanted where there are several teachers.
    """
    exps_NV, gaps_NV = (half[: len(hidden_NH)] for half in room)
    pooled_NV = None if pooled_NV is None else pooled_NV[: len(hidden_NH)]
    rows, width, stride, count = len(hidden_NH), len(head.weight_VH), exps_NV.stride(0), len(teachers)
    tiles, pool_tiles = (triton.cdiv(words, tile["WORDS"]) for tile in (TILE, POOL_TILE))
    figures = torch.empty((STUDENT + 2 * count, rows, tiles), device=hidden_NH.device)
    values_N, entropies_N = (torch.empty(rows, device=hidden_NH.device) for _ in range(2))
    pool, compare, merge, gradient = _KERNELS
    for k, (other_NH, other) in enumerate(teachers[:-1]):
        pool[(triton.cdiv(rows, POOL_TILE["TOKENS"]) * pool_tiles,)](
            *_read(other_NH, other, POOL_TILE), _tiled(pooled_NV, POOL_TILE), figures[STUDENT + 2 * k], rows,
            pool_tiles, other_NH.shape[1], words, shares[k], other.scale, other.cap or 1.0,
            FIRST=k == 0, HAS_BIAS=other.bias_V is not None, HAS_CAP=other.cap is not None, **POOL_TILE,
        )  # fmt: skip
    last_NH, last = teachers[-1]
    compare[(triton.cdiv(rows, TILE["TOKENS"]) * tiles,)](
        *_read(hidden_NH, head, TILE), *_read(last_NH, last, TILE), _tiled(pooled_NV, TILE), _tiled(exps_NV, TILE),
        _tiled(gaps_NV, TILE), figures, figures[-2], rows, tiles, hidden_NH.shape[1], last_NH.shape[1], words,
        shares[-1], head.scale, head.cap or 1.0, last.scale, last.cap or 1.0,
        POOLED=count > 1, HAS_BIAS=head.bias_V is not None, HAS_CAP=head.cap is not None,
        TEACHER_HAS_BIAS=last.bias_V is not None, TEACHER_HAS_CAP=last.cap is not None, **TILE,
    )  # fmt: skip
    merge[(rows,)](
        figures, figures[STUDENT], shares_K, values_N, entropies_N, rows, tiles, pool_tiles, count,
        TILES=triton.next_power_of_2(tiles),
    )  # fmt: skip
    gradient[(triton.cdiv(width, WRITTEN * TILE["WORDS"]), rows)](
        exps_NV, gaps_NV, stride, figures, weights_N, rows, tiles, words, width, head.scale, head.cap or 1.0,
        HAS_CAP=head.cap is not None, TILES=WRITTEN, WORDS=TILE["WORDS"],
    )  # fmt: skip
    return values_N, entropies_N, exps_NV.view(torch.bfloat16)[:, :width]


def _read(hidden_NH: Tensor, head: Head, tile: dict[str, int]) -> tuple[Any, Any, Tensor | None]:
    """Hidden states and head as the copy engine takes them, and the bias."""
    hidden = TensorDescriptor.from_tensor(hidden_NH, [tile["TOKENS"], tile["INNER"]])
    weight = TensorDescriptor.from_tensor(head.weight_VH, [tile["WORDS"], tile["INNER"]])
    return hidden, weight, head.bias_V


def _tiled(logits_NV: Tensor | None, tile: dict[str, int]) -> Any:
    """What the copy engine writes a tile to."""
    return None if logits_NV is None else TensorDescriptor.from_tensor(logits_NV, [tile["TOKENS"], tile["WORDS"]])
