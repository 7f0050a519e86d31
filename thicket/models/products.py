"""Weights in the precision of matrix products, made once for many forward passes.

Autocast casts a layer's weights at each use: over a decode loop of hundreds of steps that is most of the memory traffic
of a small model. In training, where each cast is a launch and one more in the backward pass, several go together. The
numbers are the same: what is cast once is what would be cast each time.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

TOGETHER = 16
"""Weights that are cast by one launch, and their gradients by another: those of two or so of a decoder's layers. In the
backward pass the gradients of so many wait for each other in the precision of products."""

_kept: WeakKeyDictionary[nn.Module, dict[torch.dtype, list[Tensor]]] = WeakKeyDictionary()
"""The casts of each model, whose memory is used again: what was captured for replay stays right."""


@contextmanager
def cast_once(models: Sequence[nn.Module]) -> Iterator[None]:
    """Within the block, the models' linear layers hold their weights as autocast would cast them; no gradients.

    Where autocast is off, or there is nothing to cast, nothing happens.
    """
    lent: list[tuple[Any, nn.Parameter]] = []
    try:
        for model in models:
            lent += _lend(model)
        yield
    finally:
        for layer, own in lent:
            layer._parameters["weight"] = own


@contextmanager
def cast_together(model: nn.Module) -> Iterator[None]:
    """Within the block, which is one forward pass with gradients, linear layers hold casts of their weights, which have
    the gradients of autocast's own. Where autocast or gradients are off, nothing happens."""
    layers = _layers(model) if torch.is_grad_enabled() else []
    dtype = precision(layers[0].weight.device) if layers else None
    if dtype in (None, torch.float32):
        layers = []
    own = [layer.weight for layer in layers]
    try:
        for start in range(0, len(layers), TOGETHER):
            group = slice(start, start + TOGETHER)
            for layer, cast in zip(layers[group], _Cast.apply(dtype, *own[group]), strict=True):  # type: ignore[arg-type]
                layer._parameters["weight"] = cast
        yield
    finally:
        for layer, weight in zip(layers, own, strict=True):
            layer._parameters["weight"] = weight


class _Cast(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, dtype: torch.dtype, *weights: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        ctx.set_materialize_grads(False)
        ctx.own = [weight.dtype for weight in weights]
        casts = tuple(torch.empty_like(weight, dtype=dtype) for weight in weights)
        torch._foreach_copy_(casts, weights)  # pyright: ignore[reportPrivateImportUsage]
        ctx.mark_non_differentiable(*(cast for cast, of in zip(casts, weights, strict=True) if not of.requires_grad))
        return casts

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        given = [gradient for gradient in gradients if gradient is not None]
        made = [
            torch.empty_like(gradient, dtype=own)
            for gradient, own in zip(gradients, ctx.own, strict=True)
            if gradient is not None
        ]
        if made:
            torch._foreach_copy_(made, given)  # pyright: ignore[reportPrivateImportUsage]
        found = iter(made)
        return (None, *(None if gradient is None else next(found) for gradient in gradients))


def precision(device: torch.device) -> torch.dtype | None:
    """What autocast makes of products on a device; None where it is off."""
    return torch.get_autocast_dtype(device.type) if torch.is_autocast_enabled(device.type) else None


def release(model: nn.Module) -> None:
    """Frees the memory of a model's casts."""
    _kept.pop(model, None)


def _lend(model: nn.Module) -> list[tuple[Any, nn.Parameter]]:
    """Gives the layers their casts; the layers, and what they had."""
    layers = _layers(model)
    dtype = precision(layers[0].weight.device) if layers else None
    if dtype in (None, torch.float32):
        return []
    own = [layer.weight for layer in layers]
    casts = _kept.setdefault(model, {}).get(dtype, [])
    if [(cast.shape, cast.device) for cast in casts] != [(weight.shape, weight.device) for weight in own]:
        casts = _kept[model][dtype] = [torch.empty_like(weight, dtype=dtype) for weight in own]
    with torch.no_grad():
        torch._foreach_copy_(casts, own)  # pyright: ignore[reportPrivateImportUsage]  # one launch for all
    for layer, cast in zip(layers, casts, strict=True):
        layer._parameters["weight"] = nn.Parameter(cast, requires_grad=False)
    return list(zip(layers, own, strict=True))


def _layers(model: nn.Module) -> list[Any]:
    """Linear layers in float32 that run as they are; others have weights of their own (`thicket.models.stacked`)."""
    linear = (module for module in model.modules() if type(module) is nn.Linear and "forward" not in module.__dict__)
    return [layer for layer in linear if layer.weight.dtype == torch.float32]
