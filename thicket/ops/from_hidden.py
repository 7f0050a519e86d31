"""Reverse KL of chunks of tokens without logits in memory, by a kernel that reads hidden states and heads."""

from collections.abc import Iterator

import torch

from thicket.ops.chunks import TILE, Given, Setting, Student, Teaching, parts
from thicket.ops.copy_engine import movable

HALVES = 4
"""Bytes that a logit leaves behind."""
MOST = 2**15
"""Tokens of a chunk: a grid of programs is at most 65,535 wide."""
POOLED = 4
"""Bytes more where teachers are pooled in memory."""


def can_read(student: Student, taught: Teaching, setting: Setting) -> bool:
    """Whether the kernel takes such hidden states and such a loss."""
    if setting.fused is None or setting.fused.mode != "reverse_kl":
        return False
    read = [student.hidden_NH, student.head.weight_VH, *taught.hidden_NH, *(head.weight_VH for head in taught.heads)]
    return student.bonus_N is None and movable(*read)


def from_hidden(student: Student, taught: Teaching, setting: Setting) -> Iterator[Given]:
    """Chunk by chunk; each has what room it needs in one piece of memory."""
    from thicket.ops.kernels.reverse_kl import TOGETHER, halves, reverse_kl_gradient

    pooled, width = len(taught.heads) > TOGETHER, len(student.head.weight_VH)
    rows = setting.chunk_bytes // ((HALVES + POOLED * pooled) * width)
    rows = min(max(1, rows // TILE) * TILE, MOST, taught.tokens.stop - taught.tokens.start)
    room = halves(rows, width, student.hidden_NH.device)
    pooled_NV = torch.empty(room[0].shape, device=room[0].device) if pooled else None
    total = float(taught.weights_K.sum())
    shares = (taught.weights_K.double() / total).tolist()
    shares_K = torch.tensor(shares, device=room[0].device)
    for part in parts(taught.tokens, rows):
        of_group = slice(part.start - taught.tokens.start, part.stop - taught.tokens.start)
        read = zip(taught.hidden_NH, taught.heads, strict=True)
        value_N, entropy_N, gradient_NV = reverse_kl_gradient(
            student.hidden_NH[part],
            student.head,
            [(hidden_NH[of_group], head) for hidden_NH, head in read],
            shares,
            shares_K,
            student.weights_N[part] * total,
            setting.words,
            room,
            pooled_NV,
        )
        yield Given(part, value_N * total, entropy_N, gradient_NV)
