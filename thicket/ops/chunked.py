"""A loss over the whole vocabulary that never holds all tokens' logits: forward and backward in one pass over chunks.

For each chunk of tokens: the logits of student and teachers, the loss and its gradient on the student's logits, and at
once what that gives to the hidden states and the head. What stays is a gradient of the head's size, not logits. Legend:
N tokens, V vocabulary, H hidden width, K teachers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from thicket.ops.distillation import Loss
from thicket.ops.head import Head
from thicket.ops.log_probs import entropy

TILE = 128
"""Tokens of a tile of a matrix product on a GPU."""
TEACHERS_SHARE = 1 / 6
"""Of the memory for logits; the larger the student's chunks, the fewer times its head's gradient is gone over."""


@dataclass(frozen=True)
class Teaching:
    """Tokens that share their teachers."""

    tokens: slice
    """Of the student's tokens, which are sorted so."""
    heads: Sequence[Head]
    hidden_NH: Sequence[Tensor]
    """Each teacher's last hidden states of these tokens."""
    weights_K: Tensor
    """w_k, on the CPU; the loss is Σ_k w_k D_k."""


@dataclass(frozen=True)
class Fused:
    """A divergence that a kernel knows: `reverse_kl`, `forward_kl` or `jsd`."""

    mode: str
    beta: float = 0.5


@dataclass(frozen=True)
class Setting:
    """How a loss is computed."""

    loss: Loss
    fused: Fused | None
    """The kernel that computes it on CUDA; None: plain torch everywhere."""
    words: int
    """Tokens of the tokenizer; logits beyond are padding and take no probability."""
    chunk_bytes: int
    """Memory for logits."""


def chunked_loss(
    hidden_NH: Tensor, head: Head, taught: Sequence[Teaching], tokens_N: Tensor, weights_N: Tensor, setting: Setting
) -> tuple[Tensor, Tensor, Tensor]:
    """Σ_n weight_n · D_n, and D_N and the student's entropy_N without gradients.

    The gradient goes to the student's hidden states, and to its head's weight and bias.
    """
    return _Chunked.apply(hidden_NH, head.weight_VH, head.bias_V, head, taught, tokens_N, weights_N, setting)  # type: ignore[return-value]


@dataclass(frozen=True)
class _Chunk:
    """The logits of some tokens, before scale and cap, and what their loss needs."""

    head: Head
    raw_NV: Tensor
    gradient_NV: Tensor
    """Where the gradient on `raw_NV` goes, in the same memory."""
    teachers: Sequence[Head]
    raw_KNV: Tensor
    shares_K: Tensor
    total: float
    """Of the teachers' weights."""
    tokens_N: Tensor
    weights_N: Tensor


class _Chunked(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any,
        hidden_NH: Tensor,
        weight_VH: Tensor,
        bias_V: Tensor | None,
        head: Head,
        taught: Sequence[Teaching],
        tokens_N: Tensor,
        weights_N: Tensor,
        setting: Setting,
    ) -> tuple[Tensor, Tensor, Tensor]:
        kind = hidden_NH.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else hidden_NH.dtype
        head = Head(weight_VH.detach().to(dtype), None if bias_V is None else bias_V.detach(), head.scale, head.cap)
        work = _Work(hidden_NH.detach().to(dtype), head, weight_VH, bias_V, weights_N)
        with torch.no_grad(), torch.autocast(kind, enabled=False):
            for group in taught:
                work.add(group, tokens_N, setting)
        made = (work.hidden_gradient_NH, work.weight_gradient_VH, work.bias_gradient_V)
        dtypes = (hidden_NH.dtype, weight_VH.dtype, work.exact if bias_V is None else bias_V.dtype)
        given = zip(made, dtypes, strict=True)
        ctx.save_for_backward(*(None if value is None else value.to(dtype) for value, dtype in given))
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(work.loss_N, work.entropy_N)
        return (work.loss_N * work.weights_N).sum(), work.loss_N, work.entropy_N

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Any) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        # In place: a second copy of a head's gradient may not fit.
        given = (None if value is None else value.mul_(gradient) for value in ctx.saved_tensors)
        return (*given, None, None, None, None, None)


def _parts(tokens: slice, most: int) -> Iterator[slice]:
    """Equal parts of at most so many tokens, in whole tiles of a matrix product where these fit."""
    count = tokens.stop - tokens.start
    equal = -(-count // max(1, -(-count // most)))
    size = min(most, -(-equal // TILE) * TILE) if most >= TILE else equal
    for start in range(tokens.start, tokens.stop, max(1, size)):
        yield slice(start, min(start + size, tokens.stop))


def _whole_tiles(tokens: int) -> int:
    return max(1, tokens // TILE * TILE if tokens >= TILE else tokens)


class _Work:
    """The gradients and figures of a pass, filled chunk by chunk."""

    def __init__(self, hidden_NH: Tensor, head: Head, weight_VH: Tensor, bias_V: Tensor | None, weights_N: Tensor):
        self.exact = torch.promote_types(hidden_NH.dtype, torch.float32)
        self.hidden_NH, self.head, self.weights_N = hidden_NH, head, weights_N.to(self.exact)
        self.hidden_gradient_NH = torch.zeros_like(hidden_NH)
        self.weight_gradient_VH = self._zeros(weight_VH) if weight_VH.requires_grad else None
        self.bias_gradient_V = self._zeros(bias_V) if bias_V is not None and bias_V.requires_grad else None
        self.loss_N, self.entropy_N = torch.zeros_like(self.weights_N), torch.zeros_like(self.weights_N)

    def _zeros(self, like: Tensor) -> Tensor:
        return torch.zeros_like(like, dtype=self.exact)

    def add(self, taught: Teaching, tokens_N: Tensor, setting: Setting) -> None:
        """The tokens of a group: their losses, and what they give to the gradients."""
        rows, of_teachers = self._rooms(taught, setting)
        total = float(taught.weights_K.sum())
        shares_K = (taught.weights_K.double() / total).to(rows.device, self.exact)
        for part in _parts(taught.tokens, len(rows)):
            raw_NV = self.head.raw(self.hidden_NH[part], out_NV=rows[: part.stop - part.start])
            gradient_NV = raw_NV.view(self.hidden_NH.dtype)[:, : raw_NV.shape[1]]  # in the place of the logits
            for piece in _parts(part, of_teachers.shape[1]):
                inside = slice(piece.start - part.start, piece.stop - part.start)
                chunk = _Chunk(
                    head=self.head,
                    raw_NV=raw_NV[inside],
                    gradient_NV=gradient_NV[inside],
                    teachers=taught.heads,
                    raw_KNV=_asked(taught, piece, of_teachers),
                    shares_K=shares_K,
                    total=total,
                    tokens_N=tokens_N[piece],
                    weights_N=self.weights_N[piece],
                )
                by = _by_kernel if _fits_kernel(chunk, setting) else _by_torch
                self.loss_N[piece], self.entropy_N[piece] = by(chunk, setting)
            self._give(part, gradient_NV)

    def _rooms(self, taught: Teaching, setting: Setting) -> tuple[Tensor, Tensor]:
        """Memory for logits of the student, NV, and of the teachers, KNV, for as many tokens as the setting allows."""
        own, teachers = len(self.head.weight_VH), len(taught.heads)
        width = max(own, *(len(head.weight_VH) for head in taught.heads))
        rows = max(2, setting.chunk_bytes // (self.exact.itemsize * width))
        of_teachers = _whole_tiles(max(1, int(rows * TEACHERS_SHARE) // teachers))
        count = max(1, taught.tokens.stop - taught.tokens.start)
        most = min(_whole_tiles(rows - of_teachers * teachers), count)
        like = self.hidden_NH
        return (
            torch.empty((most, own), dtype=self.exact, device=like.device),
            torch.empty((teachers, min(of_teachers, count), width), dtype=self.exact, device=like.device),
        )

    def _give(self, part: slice, gradient_NV: Tensor) -> None:
        """What the gradient on some tokens' logits gives to the hidden states and the head."""
        torch.mm(gradient_NV, self.head.weight_VH, out=self.hidden_gradient_NH[part])
        if self.weight_gradient_VH is not None:
            _accumulate(self.weight_gradient_VH, gradient_NV, self.hidden_NH[part])
        if self.bias_gradient_V is not None:
            self.bias_gradient_V += gradient_NV.sum(dim=0, dtype=self.exact)


def _asked(taught: Teaching, piece: slice, room_KNV: Tensor) -> Tensor:
    """The teachers' logits for some tokens, before scale and cap, raw_KNV."""
    asked = slice(piece.start - taught.tokens.start, piece.stop - taught.tokens.start)
    raw_KNV = room_KNV[:, : piece.stop - piece.start]
    for raw_NV, head, hidden_NH in zip(raw_KNV, taught.heads, taught.hidden_NH, strict=True):
        head.raw(hidden_NH[asked], out_NV=raw_NV[:, : len(head.weight_VH)])
    return raw_KNV


def _accumulate(total_VH: Tensor, gradient_NV: Tensor, hidden_NH: Tensor) -> None:
    """total += gradientᵀ · hidden, summed in the total's precision."""
    given_VN = gradient_NV.t()
    if total_VH.dtype == hidden_NH.dtype:
        total_VH.addmm_(given_VN, hidden_NH)
    elif total_VH.is_cuda:
        torch.addmm(total_VH, given_VN, hidden_NH, out_dtype=total_VH.dtype, out=total_VH)
    else:
        total_VH.addmm_(given_VN.to(total_VH.dtype), hidden_NH.to(total_VH.dtype))


def _by_torch(work: _Chunk, setting: Setting) -> tuple[Tensor, Tensor]:
    """In plain torch, for every loss and device."""
    words, teachers = setting.words, zip(work.teachers, work.raw_KNV, strict=True)
    log_q_KNV = torch.stack([head.logits(raw_NV[:, :words]).log_softmax(dim=-1) for head, raw_NV in teachers])
    with torch.enable_grad():
        leaf_NV = work.raw_NV.detach().requires_grad_()
        log_p_NV = work.head.logits(leaf_NV[:, :words]).log_softmax(dim=-1)
        loss_N = work.total * setting.loss(log_p_NV, log_q_KNV, work.shares_K, work.tokens_N)
        weighted = (loss_N * work.weights_N).sum()
    (gradient_NV,) = torch.autograd.grad(weighted, leaf_NV)
    entropy_N = entropy(log_p_NV.detach())
    work.gradient_NV.copy_(gradient_NV)
    return loss_N.detach(), entropy_N


def _by_kernel(work: _Chunk, setting: Setting) -> tuple[Tensor, Tensor]:
    """By the kernel, which writes the gradient over the student's logits."""
    from thicket.ops.kernels.divergence import divergence_gradient

    assert setting.fused is not None
    teacher = work.teachers[0]
    value_N, entropy_N = divergence_gradient(
        work.raw_NV,
        work.raw_KNV,
        work.shares_K,
        work.weights_N * work.total,
        work.gradient_NV,
        setting.fused.mode,
        setting.fused.beta,
        setting.words,
        cap=(work.head.cap, teacher.cap),
        scale=(work.head.scale, teacher.scale),
    )
    return value_N * work.total, entropy_N


def _fits_kernel(work: _Chunk, setting: Setting) -> bool:
    """The kernel pools teachers for reverse KL alone, and knows one scale and cap for all of them."""
    alike = len({(head.scale, head.cap) for head in work.teachers}) == 1
    several = setting.fused is not None and (len(work.teachers) == 1 or setting.fused.mode == "reverse_kl")
    return work.raw_NV.is_cuda and several and alike
