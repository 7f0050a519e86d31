"""A token drawn from each row of logits, with its log-probability, in one launch: `thicket.ops.sampling` in short.

A program draws for a row, which it goes over twice and a bit: for the maximum, for the sums of SECTIONS equal sections,
and once more over the one section that holds the drawn number's place. A tile holds a stretch of every section, so that
both passes add up within threads, and exchange anything but once at their end. The second pass finds most of the row in
the cache next to the cores. Nothing but the results is written, and the host waits for nothing.
Legend: N rows, V vocabulary.
"""

from math import e, log2
from typing import Any

import torch
import triton  # pyright: ignore[reportMissingImports]
import triton.language as tl  # pyright: ignore[reportMissingImports]
from torch import Tensor

from thicket.ops.kernels.words import mixed

SECTIONS, COLUMNS, WARPS = 64, 64, 16
"""A tile: this many sections, this many logits of each. 16-bit logits are 8 a thread, loaded 16 bytes at once."""
UNROLLED = 4
"""Tiles whose loads are under way together."""
SCANNED = 1024
"""Logits of the drawn section that are scanned at once."""
WIDE = 16
"""Logits; a mask that ends at a multiple of it lets loads stay whole."""
_UNIT = tl.constexpr(2.0**-53)
_LOG2_E = tl.constexpr(log2(e))


@triton.jit
def _uniform(key, step):
    """`draws.uniform`, in float64."""
    word = mixed(key ^ mixed(step).to(tl.int64))
    return (word >> 11).to(tl.int64).to(tl.float64) * _UNIT


@triton.jit
def _logits(row, v, words, readable):
    """In float32. What is readable beyond the words is read, so that the last loads of a row are as wide as others."""
    read = tl.load(row + v, mask=v < readable, other=float("-inf")).to(tl.float32)
    return tl.where(v < words, read, float("-inf"))


@triton.jit
def _rank(place, beyond, share, count):
    """The least is that of the first place beyond the threshold that has a share; where none is, of the last that has
    one: sums of a scan in parallel need not rise everywhere, nor end at the total."""
    return tl.where(share > 0, tl.where(beyond, place, 2 * count - place), 2 * count)


@triton.jit
def _place(rank, count):
    """Whose rank it is; 0 where none has a share."""
    return tl.where(rank < count, rank, 2 * count - rank)


@triton.jit
def _draw(
    logits, stride, keys, steps, tokens, log_probs, temperature, words, readable, section,
    SECTIONS: tl.constexpr, COLUMNS: tl.constexpr, UNROLLED: tl.constexpr, SCANNED: tl.constexpr,
):  # fmt: skip
    n = tl.program_id(0)
    row = logits + n.to(tl.int64) * stride
    uniform = _uniform(tl.load(keys + n), tl.load(steps + n))
    s = tl.arange(0, SECTIONS)
    places = s[:, None] * section + tl.arange(0, COLUMNS)[None, :]

    tops = tl.full([SECTIONS, COLUMNS], float("-inf"), tl.float32)
    for start in tl.range(0, section, COLUMNS, loop_unroll_factor=UNROLLED):
        tops = tl.maximum(tops, _logits(row, places + start, words, readable))
    top = tl.max(tl.max(tops, axis=1), axis=0)

    # Of 2^(…), so that dividing by the temperature costs nothing.
    scale = _LOG2_E / temperature
    parts = tl.zeros([SECTIONS, COLUMNS], tl.float64)
    for start in tl.range(0, section, COLUMNS, loop_unroll_factor=UNROLLED):
        parts += tl.exp2((_logits(row, places + start, words, readable) - top) * scale).to(tl.float64)
    sums = tl.sum(parts, axis=1)

    total = tl.sum(sums, axis=0)
    threshold = uniform * total
    of_sections = _rank(s, tl.cumsum(sums, axis=0) > threshold, sums, SECTIONS)
    drawn = _place(tl.min(of_sections, axis=0), SECTIONS)
    before = tl.sum(tl.where(s < drawn, sums, 0.0), axis=0)

    begin, rank = drawn * section, 2 * words
    for start in range(0, section, SCANNED):
        inside = start + tl.arange(0, SCANNED)
        v = begin + inside
        read = _logits(row, v, tl.where(inside < section, words, 0), readable)
        shares = tl.exp2((read - top) * scale).to(tl.float64)
        ranks = _rank(v, before + tl.cumsum(shares, axis=0) > threshold, shares, words)
        rank = tl.minimum(rank, tl.min(ranks, axis=0))
        before += tl.sum(shares, axis=0)
    token = _place(rank, words)

    chosen = tl.load(row + token).to(tl.float32)
    log_prob = (chosen - top).to(tl.float64) / temperature - tl.log(total)
    tl.store(tokens + n, token.to(tl.int64))
    tl.store(log_probs + n, log_prob.to(tl.float32))


_DRAW: Any = _draw


def draw(
    logits_NV: Tensor,
    keys_N: Tensor,
    step_N: Tensor,
    temperature: float,
    out: tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """Tokens (int64) and their log-probabilities (float32), both of shape N, drawn at a temperature above 0.

    They are those of `warped_log_probs` without truncation, `draws.uniform`, `inverse_cdf` and `gather`, but for
    numbers within rounding of the border between two tokens. A token whose logit is −inf is never drawn. Of a row
    without a distribution (NaN, or −inf alone) the token is some token, and the log-probability is NaN.

    logits_NV: in bfloat16, float16 or float32; rows may lie apart, as in a slice of a padded vocabulary.
    keys_N, step_N: int64. `out`: where the results go; None: to new memory.
    """
    count, words = logits_NV.shape
    assert temperature > 0
    assert logits_NV.stride(1) == 1 or words == 1
    assert keys_N.dtype == step_N.dtype == torch.int64
    assert keys_N.is_contiguous()
    assert step_N.is_contiguous()
    if out is None:
        out = (
            torch.empty(count, dtype=torch.int64, device=logits_NV.device),
            torch.empty(count, dtype=torch.float32, device=logits_NV.device),
        )
    token_N, log_prob_N = out
    assert token_N.is_contiguous()
    assert log_prob_N.is_contiguous()
    section = triton.cdiv(words, SECTIONS * COLUMNS) * COLUMNS
    with torch.cuda.device_of(logits_NV):  # a kernel runs on the current device
        _DRAW[(count,)](
            logits_NV, logits_NV.stride(0), keys_N, step_N, token_N, log_prob_N,
            temperature, words, _readable(logits_NV), section,
            SECTIONS=SECTIONS, COLUMNS=COLUMNS, UNROLLED=UNROLLED, SCANNED=SCANNED, num_warps=WARPS,
        )  # fmt: skip
    return token_N, log_prob_N


def _readable(logits_NV: Tensor) -> int:
    """Logits of every row that may be read: up to a multiple of WIDE, where rows are padded up to there."""
    count, words = logits_NV.shape
    wide = triton.cdiv(words, WIDE) * WIDE
    last = logits_NV.storage_offset() + (count - 1) * logits_NV.stride(0)
    held = logits_NV.untyped_storage().nbytes() // logits_NV.element_size()
    return wide if wide <= logits_NV.stride(0) and last + wide <= held else words
