"""A sum of matrix products in 24 bits an element: a bfloat16 tensor, and a byte more for each of its elements.

A head's gradient is a sum over chunks of tokens. Rounded to bfloat16 after each of them it would lose what the products
have; in float32 it takes twice the memory of the gradient that is wanted in the end.
"""

from typing import Any

import torch
import triton  # pyright: ignore[reportMissingImports]
import triton.language as tl  # pyright: ignore[reportMissingImports]
from torch import Tensor
from triton.tools.tensor_descriptor import TensorDescriptor  # pyright: ignore[reportMissingImports]

ROWS, COLUMNS, INNER = 128, 256, 64
"""A tile of the matrix product."""
STAGES, WARPS = 4, 8
BLOCK = 4096
"""Elements that are rounded at once."""


@triton.jit
def _add_product(
    left, right, high, low, unit, columns, inner,
    FIRST: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr, INNER: tl.constexpr,
):  # fmt: skip
    across = tl.cdiv(columns, COLUMNS)
    row, column = tl.program_id(0) // across * ROWS, tl.program_id(0) % across * COLUMNS
    made = tl.zeros([ROWS, COLUMNS], tl.float32)
    for n in range(0, inner, INNER):
        made = tl.dot(left.load([n, row]).T, right.load([n, column]), made)
    made *= unit
    if not FIRST:
        upper, lower = high.load([row, column]).to(tl.int32) << 16, low.load([row, column]).to(tl.int32) << 8
        made += (upper | lower).to(tl.float32, bitcast=True)
    bits = made.to(tl.int32, bitcast=True) + 128  # to the nearest of 24 bits
    high.store([row, column], (bits >> 16).to(tl.int16))
    low.store([row, column], ((bits >> 8) & 255).to(tl.uint8))


@triton.jit
def _round(high, low, scale, count, BLOCK: tl.constexpr):
    """The sum times a scale, rounded to bfloat16, in the place of its upper bits."""
    start = tl.program_id(0).to(tl.int64) * BLOCK
    i = tl.arange(0, BLOCK)
    mask = start + i < count
    upper = tl.load(high + start + i, mask=mask, other=0).to(tl.int32) << 16
    lower = tl.load(low + start + i, mask=mask, other=0).to(tl.int32) << 8
    whole = (upper | lower).to(tl.float32, bitcast=True) * tl.load(scale).to(tl.float32)
    tl.store(high + start + i, whole.to(tl.bfloat16).to(tl.int16, bitcast=True), mask=mask)


_ADD_PRODUCT: Any = _add_product
_ROUND: Any = _round


class LongSum:
    """Σ unit · left_NRᵀ · right_NC over calls of `add`."""

    def __init__(self, like_RC: Tensor):
        """`like_RC`: a tensor in bfloat16 of the sum's shape."""
        shape, device = like_RC.shape, like_RC.device
        self.total_RC = torch.empty(shape, dtype=torch.bfloat16, device=device)
        self._low_RC = torch.empty(shape, dtype=torch.uint8, device=device)
        self._begun = False

    def add(self, left_NR: Tensor, right_NC: Tensor, unit: float = 1.0) -> None:
        """Both in bfloat16, or both in float16; the rows of each have to begin at multiples of 16 bytes."""
        rows, columns = self.total_RC.shape
        _ADD_PRODUCT[(triton.cdiv(rows, ROWS) * triton.cdiv(columns, COLUMNS),)](
            TensorDescriptor.from_tensor(left_NR, [INNER, ROWS]),
            TensorDescriptor.from_tensor(right_NC, [INNER, COLUMNS]),
            TensorDescriptor.from_tensor(self.total_RC.view(torch.int16), [ROWS, COLUMNS]),
            TensorDescriptor.from_tensor(self._low_RC, [ROWS, COLUMNS]),
            unit, columns, len(left_NR),
            FIRST=not self._begun, ROWS=ROWS, COLUMNS=COLUMNS, INNER=INNER, num_stages=STAGES, num_warps=WARPS,
        )  # fmt: skip
        self._begun = True

    def finish(self, scale: Tensor) -> Tensor:
        """The sum times a scale, a single number, rounded to bfloat16."""
        if not self._begun:
            return self.total_RC.zero_()
        count = self.total_RC.numel()
        _ROUND[(triton.cdiv(count, BLOCK),)](self.total_RC.view(torch.int16), self._low_RC, scale, count, BLOCK=BLOCK)
        return self.total_RC
