"""The functions of `elementwise` with their backward passes: one launch each, and one more for a norm's weight.

Gradients are computed in float32, in the order of plain torch's own, and rounded where its are: each to the type of
what it is the gradient of. Only what went in is kept for the backward pass, which makes the rest again, and nothing is
added up by atomics: the same inputs give the same bits. Legend: R rows, H their width; B batch, Q and K heads, L
positions, D a head's width; P partial sums.
"""

from typing import Any

import torch
import triton  # pyright: ignore[reportMissingImports]
import triton.language as tl  # pyright: ignore[reportMissingImports]
from torch import Tensor
from torch.autograd.function import once_differentiable

from thicket.ops.kernels import elementwise
from thicket.ops.kernels.elementwise import CUBIC, KINDS, SLOPE, TILE, TYPES, in_rows, rotate, steepness, warps

__all__ = ["KINDS", "TYPES", "gated", "rms_norm", "rotary"]

PARTS = 1024
"""Partial sums of a norm's weight, at most: the same on every device, so that the sum's bits are too."""


@triton.jit
def _rms_norm_backward(
    x, weight, gradient, x_gradient, parts, eps, rows, width, steps,
    ONE_MORE: tl.constexpr, OF_WEIGHT: tl.constexpr, ROWS: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    """A program does `steps` tiles of rows, one after the other."""
    program = tl.program_id(0).to(tl.int64)
    h = tl.arange(0, WIDTH)
    w = tl.load(weight + h, mask=h < width, other=0.0).to(tl.float32)[None, :]
    total = tl.zeros((WIDTH,), dtype=tl.float32)
    for step in range(steps):
        r = (program * steps + step) * ROWS + tl.arange(0, ROWS)
        place = r[:, None] * width + h[None, :]
        inside = (r < rows)[:, None] & (h < width)[None, :]
        given = tl.load(x + place, mask=inside, other=0.0).to(tl.float32)
        slope = tl.load(gradient + place, mask=inside, other=0.0).to(tl.float32)
        variance = tl.sum(given * given, axis=1) / width
        scale = tl.rsqrt(variance + eps)[:, None]
        normal = given * scale
        if ONE_MORE:
            of_normal = slope * (1.0 + w)
            of_weight = slope * normal
        else:
            of_normal = (slope * w).to(x.dtype.element_ty).to(tl.float32)
            of_weight = slope * normal.to(x.dtype.element_ty).to(tl.float32)
            of_weight = of_weight.to(gradient.dtype.element_ty).to(tl.float32)
        along = (tl.sum(of_normal * normal, axis=1) / width)[:, None]
        made = scale * (of_normal - normal * along)
        tl.store(x_gradient + place, made.to(x_gradient.dtype.element_ty), mask=inside)
        if OF_WEIGHT:
            total += tl.sum(tl.where(inside, of_weight, 0.0), axis=0)
    if OF_WEIGHT:
        tl.store(parts + program * width + h, total, mask=h < width)


@triton.jit
def _gated_backward(
    gate, up, gradient, gate_gradient, up_gradient, count, KIND: tl.constexpr, TILE: tl.constexpr
):  # fmt: skip
    i = tl.program_id(0).to(tl.int64) * TILE + tl.arange(0, TILE)
    inside = i < count
    x = tl.load(gate + i, mask=inside, other=0.0).to(tl.float32)
    other = tl.load(up + i, mask=inside, other=0.0).to(tl.float32)
    slope = tl.load(gradient + i, mask=inside, other=0.0).to(tl.float32)
    power = steepness(x, KIND)
    share = 1.0 / (1.0 + tl.exp(-power))
    rest = 1.0 / (1.0 + tl.exp(power))  # 1 − share, and more of its digits
    acted = (x / (1.0 + tl.exp(-power))).to(gate.dtype.element_ty).to(tl.float32)
    tl.store(up_gradient + i, (slope * acted).to(up_gradient.dtype.element_ty), mask=inside)
    # Farther out an activation is flat or straight, and squares overflow.
    near = tl.where((share > 0.0) & (rest > 0.0), x, 0.0)
    bend = near * rest
    if KIND == 1:
        bend *= SLOPE * (1.0 + 3.0 * CUBIC * (near * near))
    of_acted = (slope * other).to(gate_gradient.dtype.element_ty).to(tl.float32)
    made = of_acted * (share * (1.0 + bend))
    tl.store(gate_gradient + i, made.to(gate_gradient.dtype.element_ty), mask=inside)


_RMS_NORM_BACKWARD: Any = _rms_norm_backward
_GATED_BACKWARD: Any = _gated_backward


def rms_norm(x: Tensor, weight_H: Tensor, eps: float, one_more: bool) -> Tensor:
    """As in `elementwise`; with gradients of x and of the weight, of which each is made only where it is wanted."""
    if _wanted(x, weight_H):
        return _RmsNorm.apply(x, weight_H, eps, one_more)  # type: ignore[return-value]
    return elementwise.rms_norm(x, weight_H, eps, one_more)


def rotary(q_BQLD: Tensor, k_BKLD: Tensor, cos_BLD: Tensor, sin_BLD: Tensor) -> tuple[Tensor, Tensor]:
    """As in `elementwise`; with gradients of q and k, which lie in memory as these do, and none of cos and sin."""
    if _wanted(q_BQLD, k_BKLD):
        return _Rotary.apply(q_BQLD, k_BKLD, cos_BLD, sin_BLD)  # type: ignore[return-value]
    return elementwise.rotary(q_BQLD, k_BKLD, cos_BLD, sin_BLD)


def gated(gate: Tensor, up: Tensor, kind: str) -> Tensor:
    """As in `elementwise`; with gradients of both."""
    if _wanted(gate, up):
        return _Gated.apply(gate, up, kind)  # type: ignore[return-value]
    return elementwise.gated(gate, up, kind)


def _wanted(*given: Tensor) -> bool:
    return torch.is_grad_enabled() and any(one.requires_grad for one in given)


class _RmsNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight_H: Tensor, eps: float, one_more: bool) -> Tensor:  # type: ignore[override]
        ctx.save_for_backward(x, weight_H)
        ctx.settings = eps, one_more
        return elementwise.rms_norm(x, weight_H, eps, one_more)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        x, weight_H = ctx.saved_tensors
        of_weight = ctx.needs_input_grad[1]
        return (*rms_norm_gradients(x, weight_H, gradient, *ctx.settings, of_weight=of_weight), None, None)


class _Rotary(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        outs = elementwise.rotary(q, k, cos, sin)
        ctx.save_for_backward(cos, sin)
        # What comes out lies as what goes in, without gaps.
        ctx.like = [(given.dtype, out.stride()) for given, out in zip((q, k), outs, strict=True)]
        return outs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, q_gradient: Tensor, k_gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        cos, sin = ctx.saved_tensors
        given = in_rows(q_gradient), in_rows(k_gradient)
        q_made, k_made = (
            torch.empty_strided(one.shape, strides, dtype=dtype, device=one.device)
            for one, (dtype, strides) in zip(given, ctx.like, strict=True)
        )
        rotate(given, (cos, sin), (q_made, k_made), back=True)
        return q_made, k_made, None, None


class _Gated(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gate: Tensor, up: Tensor, kind: str) -> Tensor:  # type: ignore[override]
        ctx.save_for_backward(gate, up)
        ctx.kind = kind
        return elementwise.gated(gate, up, kind)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        gate, up = ctx.saved_tensors
        return (*gated_gradients(gate, up, gradient, ctx.kind), None)


def rms_norm_gradients(
    x: Tensor, weight_H: Tensor, gradient: Tensor, eps: float, one_more: bool, of_weight: bool
) -> tuple[Tensor, Tensor | None]:
    """Gradients of x and, `of_weight`, of the weight: partial sums over equal runs of rows, added up in their order."""
    width = x.shape[-1]
    x_RH, gradient_RH = x.reshape(-1, width).contiguous(), gradient.reshape(-1, width).contiguous()
    made = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    wide = triton.next_power_of_2(width)
    rows = max(1, TILE // wide)
    tiles = triton.cdiv(len(x_RH), rows)
    steps = max(1, triton.cdiv(tiles, PARTS)) if of_weight else 1
    programs = triton.cdiv(tiles, steps)
    parts_PH = torch.empty((programs if of_weight else 0, width), dtype=torch.float32, device=x.device)
    if programs:
        with torch.cuda.device_of(x):
            _RMS_NORM_BACKWARD[(programs,)](
                x_RH, weight_H, gradient_RH, made, parts_PH, eps, len(x_RH), width, steps,
                ONE_MORE=one_more, OF_WEIGHT=of_weight, ROWS=rows, WIDTH=wide,
                num_warps=warps(rows * wide), enable_fp_fusion=False,
            )  # fmt: skip
    return made, parts_PH.sum(dim=0).to(weight_H.dtype) if of_weight else None


def gated_gradients(gate: Tensor, up: Tensor, gradient: Tensor, kind: str) -> tuple[Tensor, Tensor]:
    """Gradients of gate and up; act(gate) is made again, and rounded to the type of the gate as it was."""
    gate, up, gradient = gate.contiguous(), up.contiguous(), gradient.contiguous()
    of_gate, of_up = torch.empty_like(gate), torch.empty_like(up)
    if count := gate.numel():
        with torch.cuda.device_of(gate):
            _GATED_BACKWARD[(triton.cdiv(count, TILE),)](
                gate, up, gradient, of_gate, of_up, count,
                KIND=KINDS[kind], TILE=TILE, num_warps=warps(TILE), enable_fp_fusion=False,
            )  # fmt: skip
    return of_gate, of_up
