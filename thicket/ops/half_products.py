"""Products of a gradient in float16 with what is in bfloat16: hidden states, and a head's weight.

A matrix unit takes two factors of one type. In float16 the gradient is rounded eight times finer than in bfloat16, and
hidden states and weights lose nothing from 6e-5 to 65,504, where those of models lie; smaller ones are off by 3e-8 at
most, larger ones become infinite. Legend: N tokens, V vocabulary, H hidden width.
"""

import torch
from torch import Tensor

from thicket.ops.product_sum import add_product

LEAST = 2**24
"""Elements of the memory for a part of the weight, where what is spare is less than that."""
ALIGNED = 64
"""Rows of a part are a multiple of it where there is room: a product of what begins elsewhere takes longer."""
FLOATS = 2
"""Elements of float16 that a number in float32 takes."""


def times_weight(gradient_NV: Tensor, weight_VH: Tensor, unit: float, spare: Tensor, out_NH: Tensor) -> None:
    """out = unit · gradient · weight, summed in float32, with as many rows of the weight at a time as there is room."""
    (words, width), rows = weight_VH.shape, len(gradient_NV)
    summed, wanted = rows * width * FLOATS, min(words * width, LEAST)
    if len(spare) < summed + wanted:
        spare = spare.new_empty(summed + wanted)
    total_NH, room = spare[:summed].view(torch.float32).view(rows, width), spare[summed:]
    step = max(1, len(room) // width // ALIGNED * ALIGNED)
    for start in range(0, words, step):
        part_VH = halved(weight_VH[start : start + step], room)
        add_product(total_NH, gradient_NV[:, start : start + step], part_VH, unit, keep=start > 0)
    out_NH.copy_(total_NH)


def halved(matrix: Tensor, room: Tensor) -> Tensor:
    """A matrix in float16, at the beginning of some memory if it has the room."""
    numel = matrix.numel()
    out = room[:numel].view_as(matrix) if numel <= len(room) else room.new_empty(matrix.shape)
    if not (matrix.is_cuda and matrix.is_contiguous()):
        return out.copy_(matrix)
    from thicket.ops.kernels.halve import halve

    halve(matrix, out)
    return out
