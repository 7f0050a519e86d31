"""Several neighbours of a model in one forward pass, which is faster where a pass waits for launches, not for sums.

The rows of a batch are dealt to the M neighbours, equal runs in order. Each module that holds parameters does its rows
by `torch.vmap` over the M copies of them; what holds none (attention, the cache, positions) sees one large batch.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy

import torch
from torch import Tensor, nn, vmap
from torch.func import functional_call
from transformers import PreTrainedModel

from thicket.models.perturb import Direction, Writer
from thicket.models.products import precision

ROWWISE = ("Linear", "Embedding", "RMSNorm", "LayerNorm")
"""How the classes' names end whose modules take one tensor and treat its rows alike: what can be stacked."""


def not_stackable(model: nn.Module) -> list[str]:
    """The modules that hold parameters and can't be stacked: a mixture's experts, say, which sort their rows."""
    return [name for name, module in _owners(model) if not type(module).__name__.endswith(ROWWISE)]


@contextmanager
def stacked(model: PreTrainedModel, directions: Sequence[Direction]) -> Iterator[None]:
    """Within the block the model is its M neighbours, θ + w_m ε(s_m); it holds M copies of the weights besides."""
    assert not not_stackable(model)
    owners = [module for _, module in _owners(model)]
    copies = _copies(model, directions)
    try:
        for module in owners:
            own = {
                name: copies[id(parameter), type(module) is nn.Linear]
                for name, parameter in module.named_parameters(recurse=False)
            }
            module.forward = _forward(copy(module), own, len(directions))
        yield
    finally:
        for module in owners:
            module.__dict__.pop("forward", None)


def is_stacked(model: nn.Module) -> bool:
    """Whether the model is neighbours at present."""
    return any("forward" in module.__dict__ for _, module in _owners(model))


def _owners(model: nn.Module) -> list[tuple[str, nn.Module]]:
    return [(name, module) for name, module in model.named_modules() if any(True for _ in module.parameters(False))]


def _copies(model: nn.Module, directions: Sequence[Direction]) -> dict[tuple[int, bool], Tensor]:
    """By a parameter's identity, and whether a linear layer has it: what it is for each neighbour, of the shape (M, …).

    Linear layers have theirs as autocast would cast them, at every step of a decoding.
    """
    weights = dict(model.named_parameters())
    whole = {name: weight.new_empty(len(directions), *weight.shape) for name, weight in weights.items()}
    Writer(whole, weights, len(directions)).write([[direction] for direction in directions])
    users = {(id(one), type(module) is nn.Linear) for _, module in _owners(model) for one in module.parameters(False)}
    copies: dict[tuple[int, bool], Tensor] = {}
    for name, weight in weights.items():
        made = whole.pop(name)  # what is cast makes room for the next casts
        for linear in (False, True):
            if (id(weight), linear) in users:
                copies[id(weight), linear] = made.to(_cast(weight)) if linear else made
    return copies


def _cast(weight: Tensor) -> torch.dtype:
    """The type in which a linear layer multiplies with these weights."""
    return precision(weight.device) or weight.dtype if weight.dtype == torch.float32 else weight.dtype


def _forward(module: nn.Module, copies: dict[str, Tensor], count: int) -> Callable[[Tensor], Tensor]:
    """The module's forward over rows of which each neighbour has an equal run."""

    def one(own: dict[str, Tensor], rows: Tensor) -> Tensor:
        # Positions in one dimension: over several, a linear layer would spread a copy of its weights to every row.
        flat = functional_call(module, own, (rows.flatten(0, -2),))
        return flat.unflatten(0, rows.shape[:-1])

    each = vmap(one)
    return lambda rows: each(copies, rows.unflatten(0, (count, -1))).flatten(0, 1)
