"""What lies between a decoder's matrix products, each in one launch, rounded where transformers' modules round.

All of it is computed in float32, in the order of plain torch, and products and sums are rounded apart (the launches ask
for no fused ones): in float32 results differ from torch's by roundings of sums and of exponentials, in 16 bits hardly
ever. Backward passes: `elementwise_backward`. Legend: R rows, H their width; B batch, Q and K heads, L positions, D a
head's width.
"""

from typing import Any

import torch
import triton  # pyright: ignore[reportMissingImports]
import triton.language as tl  # pyright: ignore[reportMissingImports]
from torch import Tensor

TYPES = (torch.float32, torch.bfloat16, torch.float16)
"""What goes in and comes out."""
KINDS = {"silu": 0, "gelu_tanh": 1}
"""Activations of `gated`."""
TILE = 1024
"""Elements of a program, or more where one row or position has more."""
OF_WARP, MOST_WARPS = 256, 16
"""Elements that keep a warp busy, 8 a thread; and what a program may have of warps."""
SLOPE, CUBIC = tl.constexpr((8 / torch.pi) ** 0.5), tl.constexpr(0.044715)
"""Of Hendrycks & Gimpel's approximation of GELU (2016, arXiv 1606.08415): x σ(√(8/π) (x + 0.044715 x³))."""


@triton.jit
def _rms_norm(
    x, weight, out, eps, rows, width, ONE_MORE: tl.constexpr, ROWS: tl.constexpr, WIDTH: tl.constexpr
):  # fmt: skip
    r = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    h = tl.arange(0, WIDTH)
    place = r[:, None] * width + h[None, :]
    inside = (r < rows)[:, None] & (h < width)[None, :]
    given = tl.load(x + place, mask=inside, other=0.0).to(tl.float32)
    w = tl.load(weight + h, mask=h < width, other=0.0).to(tl.float32)[None, :]
    variance = tl.sum(given * given, axis=1) / width
    normal = given * tl.rsqrt(variance + eps)[:, None]
    made = normal * (1.0 + w) if ONE_MORE else normal.to(x.dtype.element_ty).to(tl.float32) * w
    tl.store(out + place, made.to(out.dtype.element_ty), mask=inside)


@triton.jit
def _rotated(
    x, out, batch, position, stride_b, stride_h, stride_l, out_b, out_h, out_l, cos_1, cos_2, sin_1, sin_2, heads, half,
    HEADS: tl.constexpr, HALF: tl.constexpr,
):  # fmt: skip
    """All heads of one position. Each product is rounded to what comes out, and then their sum."""
    made = out.dtype.element_ty
    n, d = tl.arange(0, HEADS), tl.arange(0, HALF)
    inside = (n < heads)[:, None] & (d < half)[None, :]
    at = x + batch * stride_b + position * stride_l + n[:, None].to(tl.int64) * stride_h + d[None, :]
    one = tl.load(at, mask=inside, other=0.0).to(tl.float32)
    other = tl.load(at + half, mask=inside, other=0.0).to(tl.float32)
    to = out + batch * out_b + position * out_l + n[:, None].to(tl.int64) * out_h + d[None, :]
    first = (one * cos_1).to(made).to(tl.float32) - (other * sin_1).to(made).to(tl.float32)
    tl.store(to, first.to(made), mask=inside)
    second = (other * cos_2).to(made).to(tl.float32) + (one * sin_2).to(made).to(tl.float32)
    tl.store(to + half, second.to(made), mask=inside)


@triton.jit
def _rotary(
    q, k, cos, sin, q_out, k_out, length, half, q_heads, k_heads,
    q_b, q_h, q_l, k_b, k_h, k_l, cos_b, cos_l, sin_b, sin_l, qo_b, qo_h, qo_l, ko_b, ko_h, ko_l,
    BACK: tl.constexpr, Q: tl.constexpr, K: tl.constexpr, HALF: tl.constexpr,
):  # fmt: skip
    """`BACK`: by the transposed matrix, that is by the opposite angles."""
    program = tl.program_id(0).to(tl.int64)
    b, at = program // length, program % length
    d = tl.arange(0, HALF)
    inside = d < half
    cos_at, sin_at = cos + b * cos_b + at * cos_l + d, sin + b * sin_b + at * sin_l + d
    cos_1 = tl.load(cos_at, mask=inside, other=0.0).to(tl.float32)[None, :]
    cos_2 = tl.load(cos_at + half, mask=inside, other=0.0).to(tl.float32)[None, :]
    sin_1 = tl.load(sin_at, mask=inside, other=0.0).to(tl.float32)[None, :]
    sin_2 = tl.load(sin_at + half, mask=inside, other=0.0).to(tl.float32)[None, :]
    if BACK:
        turned = -sin_1
        sin_1 = -sin_2
        sin_2 = turned
    _rotated(
        q, q_out, b, at, q_b, q_h, q_l, qo_b, qo_h, qo_l, cos_1, cos_2, sin_1, sin_2, q_heads, half, Q, HALF
    )  # fmt: skip
    _rotated(
        k, k_out, b, at, k_b, k_h, k_l, ko_b, ko_h, ko_l, cos_1, cos_2, sin_1, sin_2, k_heads, half, K, HALF
    )  # fmt: skip


@triton.jit
def steepness(x, KIND: tl.constexpr):
    """s(x) of an activation x σ(s(x))."""
    s = x
    if KIND == 1:
        s = SLOPE * (x + CUBIC * (x * x * x))
    return s


@triton.jit
def _gated(gate, up, out, count, KIND: tl.constexpr, TILE: tl.constexpr):
    i = tl.program_id(0).to(tl.int64) * TILE + tl.arange(0, TILE)
    inside = i < count
    x = tl.load(gate + i, mask=inside, other=0.0).to(tl.float32)
    other = tl.load(up + i, mask=inside, other=0.0).to(tl.float32)
    acted = (x / (1.0 + tl.exp(-steepness(x, KIND)))).to(gate.dtype.element_ty).to(tl.float32)
    tl.store(out + i, (acted * other).to(out.dtype.element_ty), mask=inside)


_Pair = tuple[Tensor, Tensor]
_RMS_NORM: Any = _rms_norm
_ROTARY: Any = _rotary
_GATED: Any = _gated


def rms_norm(x: Tensor, weight_H: Tensor, eps: float, one_more: bool) -> Tensor:
    """x_…H over the root of its mean square, times the weight. Both may be of any of TYPES.

    `one_more`: of which of the two kinds there are, in shape and rounding: as Llama's, normal(x) rounded to the type of
    x and multiplied by the weight, in the type that torch gives such a product; or as Gemma's, multiplied by one more
    than the weight before it is rounded to the type of x.
    """
    width = x.shape[-1]
    assert weight_H.shape == (width,)
    assert weight_H.is_contiguous()
    x_RH = x.reshape(-1, width).contiguous()
    out = torch.empty(x.shape, dtype=x.dtype if one_more else promoted(x, weight_H), device=x.device)
    wide = triton.next_power_of_2(width)
    rows = max(1, TILE // wide)
    if len(x_RH):
        with torch.cuda.device_of(x):  # a kernel runs on the current device
            _RMS_NORM[(triton.cdiv(len(x_RH), rows),)](
                x_RH, weight_H, out, eps, len(x_RH), width,
                ONE_MORE=one_more, ROWS=rows, WIDTH=wide, num_warps=warps(rows * wide), enable_fp_fusion=False,
            )  # fmt: skip
    return out


def rotary(q_BQLD: Tensor, k_BKLD: Tensor, cos_BLD: Tensor, sin_BLD: Tensor) -> tuple[Tensor, Tensor]:
    """Queries and keys at their positions: x cos + (−x₂, x₁) sin of x = (x₁, x₂), the halves of a head.

    Of any strides but for D, which lies in one piece; cos and sin may have one row for all of the batch. What comes out
    is of the type that torch gives such products, and of the strides of what went in where they leave no gaps.
    """
    batch, _, length, width = q_BQLD.shape
    assert width % 2 == 0
    assert k_BKLD.shape == (batch, k_BKLD.shape[1], length, width)
    q, k = in_rows(q_BQLD), in_rows(k_BKLD)
    q_out, k_out = (torch.empty_like(one, dtype=promoted(one, cos_BLD, sin_BLD)) for one in (q, k))
    rotate((q, k), (cos_BLD, sin_BLD), (q_out, k_out))
    return q_out, k_out


def rotate(given: _Pair, angles: _Pair, outs: _Pair, back: bool = False) -> None:
    """Writes queries and keys as `rotary` says, or `back` from there, to tensors of their shapes; all with D in one
    piece."""
    (q, k), (q_out, k_out) = given, outs
    batch, q_heads, length, width = q.shape
    k_heads, half = k.shape[1], width // 2
    cos, sin = (in_rows(one).expand(batch, length, width) for one in angles)
    if batch * length:
        most = triton.next_power_of_2(max(q_heads, k_heads)) * triton.next_power_of_2(half)
        strides = (*q.stride()[:3], *k.stride()[:3], *cos.stride()[:2], *sin.stride()[:2])
        with torch.cuda.device_of(q):
            _ROTARY[(batch * length,)](
                q, k, cos, sin, q_out, k_out, length, half, q_heads, k_heads,
                *strides, *q_out.stride()[:3], *k_out.stride()[:3],
                BACK=back, Q=triton.next_power_of_2(q_heads), K=triton.next_power_of_2(k_heads),
                HALF=triton.next_power_of_2(half), num_warps=warps(most), enable_fp_fusion=False,
            )  # fmt: skip


def gated(gate: Tensor, up: Tensor, kind: str) -> Tensor:
    """act(gate) · up, of equal shapes; act(gate) is rounded to the type of the gate. `kind`: of KINDS."""
    assert gate.shape == up.shape
    gate, up = gate.contiguous(), up.contiguous()
    out = torch.empty(gate.shape, dtype=promoted(gate, up), device=gate.device)
    if count := gate.numel():
        with torch.cuda.device_of(gate):
            _GATED[(triton.cdiv(count, TILE),)](
                gate, up, out, count,
                KIND=KINDS[kind], TILE=TILE, num_warps=warps(TILE), enable_fp_fusion=False,
            )  # fmt: skip
    return out


def promoted(*given: Tensor) -> torch.dtype:
    """What torch makes a product of these of."""
    assert all(one.dtype in TYPES for one in given)
    dtype = given[0].dtype
    for one in given[1:]:
        if one.dtype != dtype:
            dtype = torch.promote_types(dtype, one.dtype)
    return dtype


def in_rows(x: Tensor) -> Tensor:
    return x if x.stride(-1) == 1 else x.contiguous()


def warps(elements: int) -> int:
    """Of a program with so many elements, both powers of two."""
    return min(MOST_WARPS, max(1, elements // OF_WARP))
