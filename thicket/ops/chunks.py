"""Losses of chunks of tokens, with their gradients on the student's logits, by plain torch or by a kernel over logits.

Legend: N tokens, V vocabulary, H hidden width, K teachers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from thicket.ops.distillation import Loss
from thicket.ops.head import Head
from thicket.ops.log_probs import entropy, token_log_probs

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


@dataclass(frozen=True)
class Given:
    """What some tokens come to."""

    tokens: slice
    divergence_N: Tensor
    entropy_N: Tensor
    """Of the student."""
    gradient_NV: Tensor
    """On the student's logits before scale and cap, times 1/unit; good until the next chunk."""
    unit: float = 1.0
    spare: Tensor | None = None
    """Where the gradient is in float16: as such memory that nobody wants until the next chunk, flat."""


@dataclass(frozen=True)
class Student:
    """The student's last hidden states, in the precision of matrix products, and what its tokens' losses weigh."""

    hidden_NH: Tensor
    head: Head
    tokens_N: Tensor
    """The token that was taken."""
    weights_N: Tensor
    """At most 1."""
    bonus_N: Tensor | None = None
    """Advantage of the token that was taken, times its weight against the divergence; None: there is none."""

    @property
    def exact(self) -> torch.dtype:
        """The precision of sums: float32 at least."""
        return torch.promote_types(self.hidden_NH.dtype, torch.float32)


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
    bonus_N: Tensor | None


def from_logits(student: Student, taught: Teaching, setting: Setting) -> Iterator[Given]:
    """Chunk by chunk: the logits of student and teachers in memory, and the gradient in the place of the student's."""
    rows, of_teachers = _rooms(student, taught, setting)
    total = float(taught.weights_K.sum())
    shares_K = (taught.weights_K.double() / total).to(rows.device, student.exact)
    for part in parts(taught.tokens, len(rows)):
        count = part.stop - part.start
        raw_NV = student.head.raw(student.hidden_NH[part], out_NV=rows[:count])
        gradient_NV = raw_NV.view(student.hidden_NH.dtype)[:, : raw_NV.shape[1]]  # in the place of the logits
        divergence_N, entropy_N = (torch.empty(count, dtype=student.exact, device=rows.device) for _ in range(2))
        for piece in parts(part, of_teachers.shape[1]):
            inside = slice(piece.start - part.start, piece.stop - part.start)
            chunk = _Chunk(
                head=student.head,
                raw_NV=raw_NV[inside],
                gradient_NV=gradient_NV[inside],
                teachers=taught.heads,
                raw_KNV=_asked(taught, piece, of_teachers),
                shares_K=shares_K,
                total=total,
                tokens_N=student.tokens_N[piece],
                weights_N=student.weights_N[piece],
                bonus_N=None if student.bonus_N is None else student.bonus_N[piece],
            )
            by = _by_kernel if _fits_kernel(chunk, setting) else _by_torch
            divergence_N[inside], entropy_N[inside] = by(chunk, setting)
        yield Given(part, divergence_N, entropy_N, gradient_NV)


def parts(tokens: slice, most: int) -> Iterator[slice]:
    """Equal parts of at most so many tokens, in whole tiles of a matrix product where these fit."""
    count = tokens.stop - tokens.start
    equal = -(-count // -(-count // most))
    size = min(most, -(-equal // TILE) * TILE) if most >= TILE else equal
    for start in range(tokens.start, tokens.stop, size):
        yield slice(start, min(start + size, tokens.stop))


def whole_tiles(tokens: int) -> int:
    return max(1, tokens // TILE * TILE if tokens >= TILE else tokens)


def _rooms(student: Student, taught: Teaching, setting: Setting) -> tuple[Tensor, Tensor]:
    """Memory for logits of the student, NV, and of the teachers, KNV, for as many tokens as the setting allows."""
    own, teachers = len(student.head.weight_VH), len(taught.heads)
    width = max(own, *(len(head.weight_VH) for head in taught.heads))
    rows = max(2, setting.chunk_bytes // (student.exact.itemsize * width))
    of_teachers = whole_tiles(max(1, int(rows * TEACHERS_SHARE) // teachers))
    count = taught.tokens.stop - taught.tokens.start
    most = min(whole_tiles(rows - of_teachers * teachers), count)
    device = student.hidden_NH.device
    return (
        torch.empty((most, own), dtype=student.exact, device=device),
        torch.empty((teachers, min(of_teachers, count), width), dtype=student.exact, device=device),
    )


def _asked(taught: Teaching, piece: slice, room_KNV: Tensor) -> Tensor:
    """The teachers' logits for some tokens, before scale and cap, raw_KNV."""
    asked = slice(piece.start - taught.tokens.start, piece.stop - taught.tokens.start)
    raw_KNV = room_KNV[:, : piece.stop - piece.start]
    for raw_NV, head, hidden_NH in zip(raw_KNV, taught.heads, taught.hidden_NH, strict=True):
        head.raw(hidden_NH[asked], out_NV=raw_NV[:, : len(head.weight_VH)])
    return raw_KNV


def _by_torch(work: _Chunk, setting: Setting) -> tuple[Tensor, Tensor]:
    """In plain torch, for every loss and device."""
    words, teachers = setting.words, zip(work.teachers, work.raw_KNV, strict=True)
    log_q_KNV = torch.stack([head.logits(raw_NV[:, :words]).log_softmax(dim=-1) for head, raw_NV in teachers])
    with torch.enable_grad():
        leaf_NV = work.raw_NV[:, :words].detach().requires_grad_()
        log_p_NV = work.head.logits(leaf_NV).log_softmax(dim=-1)
        divergence_N = work.total * setting.loss(log_p_NV, log_q_KNV, work.shares_K, work.tokens_N)
        loss_N = divergence_N
        if work.bonus_N is not None:
            loss_N = divergence_N - work.bonus_N * token_log_probs(log_p_NV, work.tokens_N)
        weighted = (loss_N * work.weights_N).sum()
    (gradient_NV,) = torch.autograd.grad(weighted, leaf_NV)
    entropy_N = entropy(log_p_NV.detach())
    work.gradient_NV[:, :words].copy_(gradient_NV)
    work.gradient_NV[:, words:] = 0
    return divergence_N.detach(), entropy_N


def _by_kernel(work: _Chunk, setting: Setting) -> tuple[Tensor, Tensor]:
    """By the kernel, which writes the gradient over the student's logits."""
    from thicket.ops.kernels.divergence import divergence_gradient

    assert setting.fused is not None
    (teacher,) = work.teachers
    value_N, entropy_N = divergence_gradient(
        work.raw_NV,
        work.raw_KNV[0],
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
    """The kernel knows one teacher, and no rewards."""
    alone = len(work.teachers) == 1 and work.bonus_N is None
    return work.raw_NV.is_cuda and setting.fused is not None and alone
