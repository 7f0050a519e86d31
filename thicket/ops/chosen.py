"""Log-probabilities of chosen tokens out of hidden states, with logits of a few tokens at a time in memory.

The backward pass makes the logits of a chunk again: a fourth matrix product in the place of [tokens, vocabulary].
Legend: N tokens, V vocabulary, H hidden width.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from thicket.ops.head import Head, in_precision
from thicket.ops.product_sum import product_sum


def chosen_log_probs(
    hidden_NH: Tensor, head: Head, tokens_N: Tensor, chunk_bytes: int, words: int | None = None
) -> tuple[Tensor, Tensor]:
    """log p(token_n) and the entropy of p in nats, both of shape N in float32 at least; the entropy has no gradient.

    `words`: tokens of the tokenizer; logits beyond are padding and take no probability. None: all.
    """
    return _Chosen.apply(hidden_NH, head.weight_VH, head.bias_V, head, tokens_N, chunk_bytes, words)  # type: ignore[return-value]


class _Chosen(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any,
        hidden_NH: Tensor,
        weight_VH: Tensor,
        bias_V: Tensor | None,
        head: Head,
        tokens_N: Tensor,
        chunk_bytes: int,
        words: int | None,
    ) -> tuple[Tensor, Tensor]:
        ctx.dtypes = hidden_NH.dtype, weight_VH.dtype, None if bias_V is None else bias_V.dtype
        hidden_NH, head = in_precision(hidden_NH, head)
        ctx.save_for_backward(hidden_NH, weight_VH, bias_V, tokens_N)
        ctx.head, ctx.rest = head, (chunk_bytes, words)
        exact = torch.promote_types(hidden_NH.dtype, torch.float32)
        log_prob_N, entropy_N = torch.empty((2, len(tokens_N)), dtype=exact, device=hidden_NH.device)
        with torch.no_grad(), torch.autocast(hidden_NH.device.type, enabled=False):
            for part, log_p_NV, _ in _log_probs(hidden_NH, head, chunk_bytes, words):
                log_prob_N[part] = log_p_NV.gather(1, tokens_N[part].unsqueeze(1)).squeeze(1)
                entropy_N[part] = -(log_p_NV.exp() * log_p_NV).sum(dim=1)
        ctx.mark_non_differentiable(entropy_N)
        ctx.set_materialize_grads(False)
        return log_prob_N, entropy_N

    @staticmethod
    def backward(ctx: Any, gradient_N: Tensor | None, _: Any) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        if gradient_N is None:
            return (None,) * 7
        hidden_NH, weight_VH, bias_V, tokens_N = ctx.saved_tensors
        head, dtype = ctx.head, hidden_NH.dtype
        hidden_gradient_NH = torch.empty_like(hidden_NH)
        weight_sum = product_sum(weight_VH, hidden_NH) if ctx.needs_input_grad[1] else None
        bias_gradient_V = torch.zeros_like(bias_V, dtype=gradient_N.dtype) if ctx.needs_input_grad[2] else None
        with torch.no_grad(), torch.autocast(hidden_NH.device.type, enabled=False):
            for part, log_p_NV, slope_NV in _log_probs(hidden_NH, head, *ctx.rest):
                # d log p(y) / d logits = onehot(y) − p
                logits_gradient_NV = log_p_NV.exp_().mul_(-gradient_N[part].unsqueeze(1))
                index_N1 = tokens_N[part].unsqueeze(1)
                logits_gradient_NV.scatter_add_(1, index_N1, gradient_N[part].unsqueeze(1))
                raw_gradient_NV = torch.zeros((len(index_N1), len(weight_VH)), dtype=dtype, device=hidden_NH.device)
                raw_gradient_NV[:, : logits_gradient_NV.shape[1]] = logits_gradient_NV.mul_(slope_NV)
                torch.mm(raw_gradient_NV, head.weight_VH, out=hidden_gradient_NH[part])
                if weight_sum is not None:
                    weight_sum.add(raw_gradient_NV, hidden_NH[part])
                if bias_gradient_V is not None:
                    bias_gradient_V += raw_gradient_NV.sum(dim=0, dtype=bias_gradient_V.dtype)
        one = torch.ones((), dtype=gradient_N.dtype, device=gradient_N.device)
        weight_gradient_VH = None if weight_sum is None else weight_sum.finish(one)
        given = zip((hidden_gradient_NH, weight_gradient_VH, bias_gradient_V), ctx.dtypes, strict=True)
        return (*(None if value is None else value.to(dtype) for value, dtype in given), *[None] * 4)


def _log_probs(
    hidden_NH: Tensor, head: Head, chunk_bytes: int, words: int | None
) -> Iterator[tuple[slice, Tensor, Tensor | float]]:
    """Chunk by chunk: which tokens, their log_p_NV, and how fast logits grow with the head's product, slope_NV."""
    exact = torch.promote_types(hidden_NH.dtype, torch.float32)
    rows = max(1, chunk_bytes // (len(head.weight_VH) * exact.itemsize))
    for start in range(0, len(hidden_NH), rows):
        part = slice(start, min(start + rows, len(hidden_NH)))
        logits_NV = head.logits(head.raw(hidden_NH[part])[:, :words])
        slope = head.scale if head.cap is None else head.scale * (1 - (logits_NV / head.cap).square())
        yield part, logits_NV.log_softmax(dim=-1), slope
