"""How two models' next-token distributions differ, straight from logits: `thicket.ops.token_divergence` in one launch.

A program goes twice over a row (one position) of both models' logits: for the maxima and what normalises, then for all
sums. It finds most of the row in the cache the second time, and nothing but the figures is written. A tile gives every
lane WIDE words side by side, whose sum a thread takes in float32; over tiles and lanes sums are float64.

The likeliest K words take no sorting: each lane knows its likeliest one from the first pass, and the likeliest of those
is the row's. Then the lane's words are read again for its next one, and so on, K times.
Legend: N positions, V vocabulary.
"""

from typing import Any

import torch
import triton  # pyright: ignore[reportMissingImports]
import triton.language as tl  # pyright: ignore[reportMissingImports]
from torch import Tensor

from thicket.ops.token_divergence import TokenDivergence

LANES, WARPS = 128, 4
LOADED = 16
"""Bytes of a row that a thread loads at once."""
FIGURES = 7
_NEAR = tl.constexpr(1.0)
"""Up to this |log(p/q)| divergences are sums of powers, for differences of logarithms would lose their digits."""
_FAR = tl.constexpr(100.0)
"""Beyond, e^−x is 0 in float32."""
_LOG_2 = tl.constexpr(0.6931471805599453)
_LAST = tl.constexpr(2**31 - 1)
"""Word that there can be, and the bits of a number but for its sign."""
_NONE = tl.constexpr(-(2**63))
"""Below the key of every word."""


@triton.jit
def _logits(row, v, words, width):
    """In float32, −∞ beyond the words. The padding is read, for rows are as wide as loads and words need not be."""
    read = tl.load(row + v, mask=v < width, other=float("-inf")).to(tl.float32)
    return tl.where(v < words, read, float("-inf"))


@triton.jit
def _first_pass(logits, first, top, total, likeliest):
    """Each lane's maximum so far, the sum of exp(logit − maximum), and the first word that has it; `first`: its word in
    the tile's first column."""
    highest, place = tl.max(logits, axis=1, return_indices=True)
    likeliest = tl.where(highest > top, first + place, likeliest)
    higher = tl.maximum(top, highest)
    taken = tl.where(higher == float("-inf"), 0.0, higher)
    exps = tl.exp(logits - taken[:, None])
    total = total * tl.exp(top - taken).to(tl.float64) + tl.sum(exps, axis=1).to(tl.float64)
    return higher, total, likeliest


@triton.jit
def _normaliser(top, total):
    """The row's maximum, and the logarithm of the sum of exp(logit − maximum) in float64."""
    highest = tl.max(top, axis=0)
    return highest, tl.log(tl.sum(total * tl.exp(top - highest).to(tl.float64), axis=0))


@triton.jit
def _near_cosh(s):
    """cosh x − 1 with s = x² up to 1."""
    return s * (1 / 2 + s * (1 / 24 + s * (1 / 720 + s * (1 / 40320 + s * (1 / 3628800)))))


@triton.jit
def _near_sinh(x, s):
    """sinh x − x with s = x² up to 1."""
    return x * s * (1 / 6 + s * (1 / 120 + s * (1 / 5040 + s * (1 / 362880 + s * (1 / 39916800)))))


@triton.jit
def _near_js(s):
    """x tanh x − log cosh x with s = x² up to ¼. Of tanh's powers, ∫ tanh = log cosh leaves 1 − 1/(2n)."""
    high = 31 / 1575 + s * (-691 / 85050 + s * (10922 / 3274425 + s * (-929569 / 681080400)))
    return s * (1 / 2 + s * (-1 / 4 + s * (1 / 9 + s * (-17 / 360 + s * high))))


@triton.jit
def _divergences(p, q, gap):
    """Terms of JS(p, q), KL(p ‖ q) and KL(q ‖ p), none below 0 but for far ones; `gap` is log(p/q).

    p log(p/q) − p + q = p (x − 1 + e^−x) with x = log(p/q); for the JS see `jensen_shannon`.
    """
    near = tl.abs(gap) <= _NEAR
    x = tl.where(near, gap, 0.0)
    square = x * x
    even, odd = _near_cosh(square), _near_sinh(x, square)
    kl_p = tl.where(near, p * (even - odd), tl.where(p > 0, p * gap, 0.0) - p + q)
    kl_q = tl.where(near, q * (even + odd), tl.where(q > 0, -q * gap, 0.0) - q + p)
    size = tl.minimum(tl.abs(gap), _FAR)
    less = tl.exp(-size)
    far_js = -(tl.log(1 + less) + size * less / (1 + less) - _LOG_2)
    js = (p + q) / 2 * tl.where(near, _near_js(square / 4), far_js)
    return js, kl_p, kl_q


@triton.jit
def _gap(b, o, shift, shift_rest):
    """log(p/q), of logits themselves, for log p and log q are rounded: b − o less the difference of what normalises.

    Both have a part beyond float32 (TwoSum, Knuth 1969), so that distributions may be nearly equal though logits are
    not.
    """
    rounded = b - o
    taken = rounded - b
    lost = (b - (rounded - taken)) - (o + taken)
    lost = tl.where(tl.abs(rounded) < float("inf"), lost, 0.0)
    return tl.where(b == o, -shift - shift_rest, (rounded - shift) + (lost - shift_rest))


@triton.jit
def _surprise(p, log_p):
    """−p log p."""
    return tl.where(p == 0, 0.0, -p * log_p)


@triton.jit
def _key(logit, v, words):
    """A word's: the larger the logit the larger the key, and of equal logits the first word's is the largest."""
    bits = tl.where(logit == 0, 0.0, logit).to(tl.int32, bitcast=True)  # −0 is 0
    ordered = bits ^ ((bits >> 31) & _LAST)
    return tl.where(v < words, (ordered.to(tl.int64) << 32) | (v ^ _LAST).to(tl.int64), _NONE)


@triton.jit
def _word(key):
    return ((key & _LAST) ^ _LAST).to(tl.int32)


@triton.jit
def _next(row, keys, words, LANES: tl.constexpr, WIDE: tl.constexpr, STRIPES: tl.constexpr):
    """The largest of the lanes' keys, and the keys with the lane's next one in its place."""
    key = tl.max(keys, axis=0)
    lane = _word(key) // WIDE % LANES
    v = (tl.arange(0, STRIPES)[:, None] * LANES + lane) * WIDE + tl.arange(0, WIDE)[None, :]
    of_lane = _key(_logits(row, v, words, words), v, words)
    following = tl.max(tl.max(tl.where(of_lane < key, of_lane, _NONE), axis=1), axis=0)
    return key, tl.where(tl.arange(0, LANES) == lane, following, keys)


@triton.jit
def _shared(
    base, base_keys, other, other_keys, words, candidates,
    LANES: tl.constexpr, WIDE: tl.constexpr, STRIPES: tl.constexpr,
):  # fmt: skip
    """Share of the base's likeliest words that are the other's too: their keys there reach the last of the other's."""
    least = tl.max(other_keys, axis=0)
    for _ in range(candidates):
        least, other_keys = _next(other, other_keys, words, LANES, WIDE, STRIPES)
    count = 0.0
    for _ in range(candidates):
        key, base_keys = _next(base, base_keys, words, LANES, WIDE, STRIPES)
        v = _word(key)
        count += (_key(_logits(other, v, words, words), v, words) >= least).to(tl.float32)
    return count / candidates


@triton.jit(do_not_specialize=["words", "candidates"])
def _token_divergence(
    base, base_stride, base_width, other, other_stride, other_width, figures, ranks, words, candidates,
    LANES: tl.constexpr, WIDE: tl.constexpr, STRIPES: tl.constexpr,
):  # fmt: skip
    n, rows = tl.program_id(0), tl.num_programs(0)
    base += n.to(tl.int64) * base_stride
    other += n.to(tl.int64) * other_stride
    first = tl.arange(0, LANES) * WIDE
    places = first[:, None] + tl.arange(0, WIDE)[None, :]

    top_p, top_q = tl.full([LANES], float("-inf"), tl.float32), tl.full([LANES], float("-inf"), tl.float32)
    total_p, total_q = tl.zeros([LANES], tl.float64), tl.zeros([LANES], tl.float64)
    word_p, word_q = first, first
    for start in range(0, words, LANES * WIDE):
        v = start + places
        b, o = _logits(base, v, words, base_width), _logits(other, v, words, other_width)
        top_p, total_p, word_p = _first_pass(b, start + first, top_p, total_p, word_p)
        top_q, total_q, word_q = _first_pass(o, start + first, top_q, total_q, word_q)
    base_keys, other_keys = _key(top_p, word_p, words), _key(top_q, word_q, words)
    highest_p, log_p_sum = _normaliser(top_p, total_p)
    highest_q, log_q_sum = _normaliser(top_q, total_q)
    exact_shift = highest_p.to(tl.float64) - highest_q.to(tl.float64) + (log_p_sum - log_q_sum)
    shift = exact_shift.to(tl.float32)
    shift_rest = (exact_shift - shift.to(tl.float64)).to(tl.float32)
    rest_p, rest_q = log_p_sum.to(tl.float32), log_q_sum.to(tl.float32)
    likeliest = _word(tl.max(other_keys, axis=0))
    reached = tl.load(base + likeliest, mask=likeliest < words, other=float("-inf")).to(tl.float32)

    js, kl_p, kl_q = tl.zeros([LANES], tl.float64), tl.zeros([LANES], tl.float64), tl.zeros([LANES], tl.float64)
    entropy_p, entropy_q = tl.zeros([LANES], tl.float64), tl.zeros([LANES], tl.float64)
    ahead = tl.zeros([LANES], tl.int32)
    for start in range(0, words, LANES * WIDE):
        v = start + places
        b, o = _logits(base, v, words, base_width), _logits(other, v, words, other_width)
        log_p, log_q = b - highest_p - rest_p, o - highest_q - rest_q
        p, q = tl.exp(log_p), tl.exp(log_q)
        of_js, of_kl_p, of_kl_q = _divergences(p, q, _gap(b, o, shift, shift_rest))
        js += tl.sum(of_js, axis=1).to(tl.float64)
        kl_p += tl.sum(of_kl_p, axis=1).to(tl.float64)
        kl_q += tl.sum(of_kl_q, axis=1).to(tl.float64)
        entropy_p += tl.sum(_surprise(p, log_p), axis=1).to(tl.float64)
        entropy_q += tl.sum(_surprise(q, log_q), axis=1).to(tl.float64)
        ahead += tl.sum(((b > reached) | ((b == reached) & (v < likeliest))).to(tl.int32), axis=1)

    shared = _shared(base, base_keys, other, other_keys, words, candidates, LANES, WIDE, STRIPES)
    figures += n
    tl.store(figures, tl.sum(js, axis=0).to(tl.float32))
    tl.store(figures + rows, tl.sum(kl_q, axis=0).to(tl.float32))
    tl.store(figures + 2 * rows, tl.sum(kl_p, axis=0).to(tl.float32))
    tl.store(figures + 3 * rows, tl.sum(entropy_p, axis=0).to(tl.float32))
    tl.store(figures + 4 * rows, tl.sum(entropy_q, axis=0).to(tl.float32))
    tl.store(figures + 5 * rows, tl.exp(reached - highest_p - rest_p))
    tl.store(figures + 6 * rows, shared)
    tl.store(ranks + n, 1 + tl.sum(ahead, axis=0).to(tl.int64))


_TOKEN_DIVERGENCE: Any = _token_divergence


def token_divergence(base_NV: Tensor, other_NV: Tensor, words: int, candidates: int) -> TokenDivergence:
    """All figures, from logits in bfloat16, float16 or float32; columns from `words` on are padding.

    Of words with equal logits the first in the vocabulary is the likelier, in the overlap too. Where a model has no
    distribution (NaN, or −∞ alone) the divergences and its entropy are NaN.
    """
    count = len(base_NV)
    assert len(other_NV) == count
    assert all(one.stride(1) == 1 and one.shape[1] >= words for one in (base_NV, other_NV))
    figures_FN = torch.empty(FIGURES, count, device=base_NV.device)
    rank_N = torch.empty(count, dtype=torch.int64, device=base_NV.device)
    wide = LOADED // min(base_NV.element_size(), other_NV.element_size())
    with torch.cuda.device_of(base_NV):  # a kernel runs on the current device
        _TOKEN_DIVERGENCE[(count,)](
            base_NV, base_NV.stride(0), base_NV.shape[1], other_NV, other_NV.stride(0), other_NV.shape[1],
            figures_FN, rank_N, words, min(candidates, words),
            LANES=LANES, WIDE=wide, STRIPES=triton.next_power_of_2(triton.cdiv(words, LANES * wide)), num_warps=WARPS,
        )  # fmt: skip
    js_N, kl_other_base_N, kl_base_other_N, entropy_base_N, entropy_other_N, base_probability_N, overlap_N = figures_FN
    return TokenDivergence(
        js_N=js_N,
        kl_other_base_N=kl_other_base_N,
        kl_base_other_N=kl_base_other_N,
        entropy_base_N=entropy_base_N,
        entropy_other_N=entropy_other_N,
        rank_N=rank_N,
        base_probability_N=base_probability_N,
        overlap_N=overlap_N,
        same_N=rank_N == 1,
    )
