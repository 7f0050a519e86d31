"""Attention of a new token in each slot over the slot's own stretch of a static cache, where key and value go first.

A program serves one key-value head of one slot with all the query heads that share it: each key and value is read once,
and no place outside the stretch is read at all. Softmax as it goes, in float32 (Milakov & Gimelshein 2018, arXiv
1805.02867). Legend: S slots, G key-value heads, Q query heads, L cache positions, D width of a head, E of a value's.
"""

from typing import Any

import torch
import triton  # pyright: ignore[reportMissingImports]
import triton.language as tl  # pyright: ignore[reportMissingImports]
from torch import Tensor

PLACES = 64
"""Cache positions that a program reads at once, where their keys and values fit."""
READ = 2**16
"""Bytes of keys and values that a program reads at once, down to `LEAST` positions; with what is under way beside them
they fit in 227 KiB of shared memory, but for float32 keys wider than 512."""
LEAST = 16
"""Rows and columns that a matrix product on tensor cores has at least: fewer query heads are padded."""
_LOG2E = tl.constexpr(1.4426950408889634)


@triton.jit
def _attend(
    query, keys, values, span, out, scale, heads,
    q_slot, q_head, k_slot, k_head, k_place, v_slot, v_head, v_place, span_slot,
    SHARED: tl.constexpr, D: tl.constexpr, E: tl.constexpr, QUERIES: tl.constexpr, WIDE: tl.constexpr,
    VALUE: tl.constexpr, PLACES: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    slot, group = tl.program_id(0).to(tl.int64), tl.program_id(1).to(tl.int64)
    row, column, value, place = (
        tl.arange(0, QUERIES), tl.arange(0, WIDE), tl.arange(0, VALUE), tl.arange(0, PLACES),
    )  # fmt: skip
    head = group * SHARED + row
    asked = (row < SHARED)[:, None] & (column < D)[None, :]
    q = tl.load(query + slot * q_slot + head[:, None] * q_head + column[None, :], mask=asked, other=0.0)
    q = q.to(keys.dtype.element_ty)
    first, last = tl.load(span + slot * span_slot), tl.load(span + slot * span_slot + 1)
    own_keys, own_values = keys + slot * k_slot + group * k_head, values + slot * v_slot + group * v_head
    top = tl.full([QUERIES], float("-inf"), tl.float32)
    total = tl.zeros([QUERIES], tl.float32)
    mixed = tl.zeros([QUERIES, VALUE], tl.float32)
    for start in range(first // PLACES * PLACES, last + 1, PLACES):
        at = start + place
        seen = (at >= first) & (at <= last)
        k = tl.load(
            own_keys + at[None, :] * k_place + column[:, None], mask=seen[None, :] & (column < D)[:, None], other=0.0
        )
        score = tl.dot(q, k, input_precision=PRECISION) * (scale * _LOG2E)
        score = tl.where(seen[None, :], score, float("-inf"))
        higher = tl.maximum(top, tl.max(score, axis=1))
        weight, kept = tl.exp2(score - higher[:, None]), tl.exp2(top - higher)
        v = tl.load(
            own_values + at[:, None] * v_place + value[None, :], mask=seen[:, None] & (value < E)[None, :], other=0.0
        )
        total = total * kept + tl.sum(weight, axis=1)
        mixed = tl.dot(weight.to(v.dtype), v, mixed * kept[:, None], input_precision=PRECISION)
        top = higher
    # A slot that sees nothing has no sum to divide by.
    made = (mixed / tl.where(total > 0, total, 1.0)[:, None]).to(out.dtype.element_ty)
    target = out + (slot * heads + head[:, None]) * E + value[None, :]
    tl.store(target, made, mask=(row < SHARED)[:, None] & (value < E)[None, :])


@triton.jit
def _put(
    new_keys, new_values, keys, values, places, groups,
    nk_slot, nk_head, nv_slot, nv_head, k_slot, k_head, k_place, v_slot, v_head, v_place,
    D: tl.constexpr, E: tl.constexpr, WIDE: tl.constexpr, VALUE: tl.constexpr, GROUPS: tl.constexpr,
):  # fmt: skip
    slot = tl.program_id(0).to(tl.int64)
    at = tl.load(places + slot).to(tl.int64)
    group = tl.arange(0, GROUPS)[:, None].to(tl.int64)
    column, value = tl.arange(0, WIDE)[None, :], tl.arange(0, VALUE)[None, :]
    key_fits, fits = (group < groups) & (column < D), (group < groups) & (value < E)
    key = tl.load(new_keys + slot * nk_slot + group * nk_head + column, mask=key_fits)
    tl.store(keys + slot * k_slot + group * k_head + at * k_place + column, key.to(keys.dtype.element_ty), key_fits)
    new = tl.load(new_values + slot * nv_slot + group * nv_head + value, mask=fits)
    tl.store(values + slot * v_slot + group * v_head + at * v_place + value, new.to(values.dtype.element_ty), fits)


_ATTEND: Any = _attend
_PUT: Any = _put


def attend(query_SQ1D: Tensor, keys_SGLD: Tensor, values_SGLE: Tensor, span_S2: Tensor, scale: float) -> Tensor:
    """Each slot's attention over its places span_S2[:, 0] … span_S2[:, 1], both included, out_S1QE in the cache's type.

    An end before the beginning: zeros.
    """
    slots, heads, _, width = query_SQ1D.shape
    groups, value = keys_SGLD.shape[1], values_SGLE.shape[3]
    assert all(one.stride(3) == 1 for one in (query_SQ1D, keys_SGLD, values_SGLE))
    assert span_S2.stride(-1) == 1
    out_S1QE = torch.empty((slots, 1, heads, value), dtype=values_SGLE.dtype, device=values_SGLE.device)
    shared = heads // groups
    with torch.cuda.device_of(query_SQ1D):  # a kernel runs on the current device
        _ATTEND[(slots, groups)](
            query_SQ1D, keys_SGLD, values_SGLE, span_S2, out_S1QE, scale, heads,
            *query_SQ1D.stride()[:2], *keys_SGLD.stride()[:3], *values_SGLE.stride()[:3], span_S2.stride(0),
            SHARED=shared, D=width, E=value, QUERIES=_padded(shared), WIDE=_padded(width), VALUE=_padded(value),
            PLACES=_places(_padded(width) * keys_SGLD.element_size() + _padded(value) * values_SGLE.element_size()),
            PRECISION="ieee", num_warps=4,
        )  # fmt: skip
    return out_S1QE


def put(key_SG1D: Tensor, value_SG1E: Tensor, keys_SGLD: Tensor, values_SGLE: Tensor, at_S: Tensor) -> None:
    """Writes each slot's new key and value to its place at_S of the cache."""
    slots, groups, _, width = key_SG1D.shape
    value = value_SG1E.shape[3]
    assert all(one.stride(3) == 1 for one in (key_SG1D, value_SG1E, keys_SGLD, values_SGLE))
    with torch.cuda.device_of(keys_SGLD):
        _PUT[(slots,)](
            key_SG1D, value_SG1E, keys_SGLD, values_SGLE, at_S, groups,
            *key_SG1D.stride()[:2], *value_SG1E.stride()[:2], *keys_SGLD.stride()[:3], *values_SGLE.stride()[:3],
            D=width, E=value, WIDE=_padded(width), VALUE=_padded(value),
            GROUPS=triton.next_power_of_2(groups), num_warps=4,
        )  # fmt: skip


def _places(position: int) -> int:
    """Read at once, a power of two, where a position takes so many bytes."""
    return max(LEAST, min(PLACES, READ // triton.next_power_of_2(position)))


def _padded(count: int) -> int:
    return max(LEAST, triton.next_power_of_2(count))
