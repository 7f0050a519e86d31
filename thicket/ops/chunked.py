"""A loss over the whole vocabulary that never holds all tokens' logits: forward and backward in one pass over chunks.

For each chunk of tokens: the logits of student and teachers, the loss and its gradient on the student's logits, and at
once what that gives to the hidden states and the head. What stays is a gradient of the head's size, not logits. Legend:
N tokens, V vocabulary, H hidden width.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from thicket.ops.chunks import Given, Setting, Student, Teaching, from_logits
from thicket.ops.from_hidden import can_read, from_hidden
from thicket.ops.half_products import halved, times_weight
from thicket.ops.head import Head, in_precision
from thicket.ops.product_sum import product_sum


def chunked_loss(
    hidden_NH: Tensor,
    head: Head,
    taught: Iterable[Teaching],
    tokens_N: Tensor,
    weights_N: Tensor,
    setting: Setting,
    bonus_N: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Σ_n weight_n · D_n, and D_N and the student's entropy_N without gradients.

    The gradient goes to the student's hidden states, and to its head's weight and bias. With a bonus for each token
    that was taken it is that of Σ_n weight_n · (D_n − bonus_n · log p(token_n)), a policy gradient beside the
    divergence; the value stays that of the divergence alone. `taught` is gone through once, and of an iterator that
    makes them one after the other one is in memory at a time.
    """
    others = (head, taught, tokens_N, weights_N, bonus_N, setting)
    return _Chunked.apply(hidden_NH, head.weight_VH, head.bias_V, *others)  # type: ignore[return-value]


class _Chunked(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any,
        hidden_NH: Tensor,
        weight_VH: Tensor,
        bias_V: Tensor | None,
        head: Head,
        taught: Iterable[Teaching],
        tokens_N: Tensor,
        weights_N: Tensor,
        bonus_N: Tensor | None,
        setting: Setting,
    ) -> tuple[Tensor, Tensor, Tensor]:
        precise_NH, head = in_precision(hidden_NH, head)
        exact = torch.promote_types(precise_NH.dtype, torch.float32)
        weights_N = weights_N.to(exact)
        unit = _power_of_two(weights_N)
        student = Student(precise_NH, head, tokens_N, weights_N / unit, bonus_N)
        work = _Work(student, weight_VH, bias_V, unit)
        with torch.no_grad(), torch.autocast(hidden_NH.device.type, enabled=False):
            for given in _given(student, taught, setting):
                work.take(given, student)
                del given  # The memory of its logits, before other teachers want theirs.
        ctx.work, ctx.dtypes = work, (hidden_NH.dtype, weight_VH.dtype, None if bias_V is None else bias_V.dtype)
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(work.divergence_N, work.entropy_N)
        return (work.divergence_N * weights_N).sum(), work.divergence_N, work.entropy_N

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Any) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        work, ctx.work = ctx.work, None
        assert work is not None, "the gradients are scaled in place: backward goes once"
        given = zip(work.gradients(gradient), ctx.dtypes, strict=True)
        return (*(None if value is None else value.to(dtype) for value, dtype in given), *[None] * 6)


def _given(student: Student, taught: Iterable[Teaching], setting: Setting) -> Iterator[Given]:
    for group in taught:
        if group.tokens.start < group.tokens.stop:
            by = from_hidden if can_read(student, group, setting) else from_logits
            yield from by(student, group, setting)
        del group  # before the next one is made


class _Work:
    """The gradients and figures of a pass, filled chunk by chunk."""

    def __init__(self, student: Student, weight_VH: Tensor, bias_V: Tensor | None, unit: Tensor):
        """`unit`: what the student's weights are to be multiplied by."""
        self.unit = unit
        self.hidden_gradient_NH = torch.zeros_like(student.hidden_NH)
        self.divergence_N, self.entropy_N = torch.zeros_like(student.weights_N), torch.zeros_like(student.weights_N)
        self.weight_sum = product_sum(weight_VH, student.hidden_NH) if weight_VH.requires_grad else None
        self.bias_gradient_V: Tensor | None = None
        if bias_V is not None and bias_V.requires_grad:
            self.bias_gradient_V = torch.zeros_like(bias_V, dtype=student.weights_N.dtype)

    def take(self, given: Given, student: Student) -> None:
        """What some tokens give to the hidden states and the head."""
        part, gradient_NV = given.tokens, given.gradient_NV
        self.divergence_N[part], self.entropy_N[part] = given.divergence_N, given.entropy_N
        out_NH, hidden_NH = self.hidden_gradient_NH[part], student.hidden_NH[part]
        if given.spare is None:
            torch.mm(gradient_NV, student.head.weight_VH, out=out_NH)
        else:
            times_weight(gradient_NV, student.head.weight_VH, given.unit, given.spare, out_NH)
            hidden_NH = halved(hidden_NH, given.spare)
        if self.weight_sum is not None:
            self.weight_sum.add(gradient_NV, hidden_NH, given.unit)
        if self.bias_gradient_V is not None:
            self.bias_gradient_V += given.unit * gradient_NV.sum(dim=0, dtype=self.bias_gradient_V.dtype)

    def gradients(self, scale: Tensor) -> tuple[Tensor | None, ...]:
        """Those on hidden states, weight and bias, times a scale: in place, for a second copy may not fit."""
        scale = scale * self.unit
        weight_gradient_VH = None if self.weight_sum is None else self.weight_sum.finish(scale)
        bias_gradient_V = None if self.bias_gradient_V is None else self.bias_gradient_V.mul_(scale)
        return self.hidden_gradient_NH.mul_(scale), weight_gradient_VH, bias_gradient_V


def _power_of_two(weights_N: Tensor) -> Tensor:
    """The least that is above all of them, so that dividing by it is exact; 1 where there are none above 0."""
    largest = weights_N.abs().amax() if len(weights_N) else weights_N.new_zeros(())
    mantissa, _ = torch.frexp(largest)
    return torch.where(largest > 0, largest / mantissa, 1.0)
