"""A sum of matrix products, Σ leftᵀ · right, that is more exact than what it is rounded to in the end.

Legend: N rows of both factors, R and C columns of the left and the right one.
"""

from typing import Protocol

import torch
from torch import Tensor

from thicket.ops.copy_engine import ALIGNED, movable


class ProductSum(Protocol):
    """Σ unit · left_NRᵀ · right_NC over calls of `add`."""

    def add(self, left_NR: Tensor, right_NC: Tensor, unit: float = 1.0) -> None:
        """Adds a product."""
        ...

    def finish(self, scale: Tensor) -> Tensor:
        """The sum times a scale, scaled_RC; it is the sum's own memory, and nothing is added after that."""
        ...


def product_sum(like_RC: Tensor, factors: Tensor) -> ProductSum:
    """A sum of the shape of `like_RC`, for factors in the precision of `factors`."""
    if factors.dtype == torch.bfloat16 and like_RC.shape[0] % ALIGNED == 0 and movable(like_RC):
        from thicket.ops.kernels.long_sum import LongSum

        return LongSum(like_RC)
    return _InFull(torch.zeros_like(like_RC, dtype=torch.promote_types(factors.dtype, torch.float32)))


class _InFull:
    """In float32 at least."""

    def __init__(self, total_RC: Tensor):
        self.total_RC = total_RC

    def add(self, left_NR: Tensor, right_NC: Tensor, unit: float = 1.0) -> None:
        add_product(self.total_RC, left_NR.t(), right_NC, unit)

    def finish(self, scale: Tensor) -> Tensor:
        return self.total_RC.mul_(scale)


def add_product(total_RC: Tensor, left_RN: Tensor, right_NC: Tensor, unit: float = 1.0, keep: bool = True) -> None:
    """Adds unit · left · right to a total in float32 at least, or without `keep` puts it there."""
    beta = 1 if keep else 0  # 0 overlooks what is there, be it infinite
    if total_RC.dtype == right_NC.dtype:
        total_RC.addmm_(left_RN, right_NC, beta=beta, alpha=unit)
    elif total_RC.is_cuda:
        torch.addmm(total_RC, left_RN, right_NC, out_dtype=total_RC.dtype, beta=beta, alpha=unit, out=total_RC)
    else:
        total_RC.addmm_(left_RN.to(total_RC.dtype), right_NC.to(total_RC.dtype), beta=beta, alpha=unit)
