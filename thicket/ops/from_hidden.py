"""Reverse KL of chunks of tokens without logits in memory, by a kernel that reads hidden states and heads."""

import importlib.util
from collections.abc import Iterator
from functools import cache

import torch

from thicket.ops.chunks import TILE, Given, Setting, Student, Teaching, parts
from thicket.ops.copy_engine import movable

WORDS = 256
"""Words of a tile."""
HALVES = 4
"""Bytes that a logit leaves behind."""
SUMMED = 8
"""log2 of what the probabilities of a tile sum to, in the half that holds them."""
ENLARGED = 2.0**10
"""What gradients in float16 are multiplied by: p ⊙ (log p − log q − KL) of nearly equal distributions is not yet below
its least numbers (6e-8), and that of logits hundreds apart not yet beyond its largest (65,504)."""
FIGURES = 3
"""That a tile of the student leaves: log2 Σ e^s, and the means of s − t and of s under e^s; a teacher's leaves one."""
FIGURE = 4
"""Bytes of a figure."""
MOST = 2**15
"""Tokens of a chunk: a grid of programs is at most 65,535 wide."""
TOGETHER = 4
"""Teachers that one launch reads; more of them are pooled in memory."""
POOLED = 4
"""Bytes of a pooled logit."""
HOPPER = 9
"""Major compute capability of the chips whose matrix units the kernel is written for."""


def can_read(student: Student, taught: Teaching, setting: Setting) -> bool:
    """Whether the kernel takes such hidden states and such a loss."""
    if setting.fused is None or setting.fused.mode != "reverse_kl":
        return False
    if student.bonus_N is not None or not _has_gluon():
        return False
    read = [student.hidden_NH, student.head.weight_VH, *taught.hidden_NH, *(head.weight_VH for head in taught.heads)]
    return movable(*read) and torch.cuda.get_device_capability(student.hidden_NH.device)[0] == HOPPER


@cache
def _has_gluon() -> bool:
    """Whether the language is there that the kernel is written in."""
    try:
        return importlib.util.find_spec("triton.experimental.gluon") is not None
    except ModuleNotFoundError:
        return False


def token_bytes(width: int, words: int, teachers: int) -> int:
    """Memory that the kernel wants for a token."""
    logit = HALVES + (POOLED if teachers > TOGETHER else 0)
    return logit * width + FIGURE * (FIGURES + teachers) * -(-words // WORDS)


def from_hidden(student: Student, taught: Teaching, setting: Setting) -> Iterator[Given]:
    """Chunk by chunk."""
    from thicket.ops.kernels.reverse_kl import Room, reverse_kl_gradient

    pooled, width = len(taught.heads) > TOGETHER, len(student.head.weight_VH)
    rows = setting.chunk_bytes // token_bytes(width, setting.words, len(taught.heads))
    rows = min(max(1, rows // TILE) * TILE, MOST, taught.tokens.stop - taught.tokens.start)
    device = student.hidden_NH.device
    room = Room.of(rows, width, setting.words, len(taught.heads), device)
    pooled_NV = torch.empty(room.halves[0].shape, device=device) if pooled else None
    total = float(taught.weights_K.sum())
    shares = (taught.weights_K.double() / total).tolist()
    shares_K = torch.tensor(shares, device=device)
    for part in parts(taught.tokens, rows):
        of_group = slice(part.start - taught.tokens.start, part.stop - taught.tokens.start)
        read = zip(taught.hidden_NH, taught.heads, strict=True)
        value_N, entropy_N, gradient_NV = reverse_kl_gradient(
            student.hidden_NH[part],
            student.head,
            [(hidden_NH[of_group], head) for hidden_NH, head in read],
            shares,
            shares_K,
            student.weights_N[part] * (total * ENLARGED),
            setting.words,
            room,
            pooled_NV,
        )
        yield Given(part, value_N * total, entropy_N, gradient_NV, 1 / ENLARGED, room.halves[1].flatten())
