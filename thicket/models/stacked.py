"""Several neighbours of a model in one forward pass, which is faster where a pass waits for launches, not for sums.

The rows of a batch are dealt to the M neighbours, equal runs in order. Each module that holds parameters does its rows
by `torch.vmap` over the M copies of them; what holds none (attention, the cache, positions) sees one large batch.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy

from torch import Tensor, nn, vmap
from torch.func import functional_call
from transformers import PreTrainedModel

from thicket.models.perturb import Direction, Writer

ROWWISE = ("Linear", "Embedding", "RMSNorm", "LayerNorm")
"""How the classes' names end whose modules take one tensor and treat its rows alike: what can be stacked."""


def not_stackable(model: nn.Module) -> list[str]:
    """The modules that hold parameters and can't be stacked: a mixture's experts, say, which sort their rows."""
    return [name for name, module in _owners(model) if not type(module).__name__.endswith(ROWWISE)]


@contextmanager
def stacked(model: PreTrainedModel, directions: Sequence[Direction]) -> Iterator[None]:
    """Within the block the model is its M neighbours, θ + w_m ε(s_m); it holds M copies of the weights besides."""
    assert not not_stackable(model)
    copies = _copies(dict(model.named_parameters()), directions)
    owners = [module for _, module in _owners(model)]
    try:
        for module in owners:
            own = {name: copies[id(parameter)] for name, parameter in module.named_parameters(recurse=False)}
            module.forward = _forward(copy(module), own, len(directions))
        yield
    finally:
        for module in owners:
            module.__dict__.pop("forward", None)


def _owners(model: nn.Module) -> list[tuple[str, nn.Module]]:
    return [(name, module) for name, module in model.named_modules() if any(True for _ in module.parameters(False))]


def _copies(weights: Mapping[str, Tensor], directions: Sequence[Direction]) -> dict[int, Tensor]:
    """By a parameter's identity, what it is for each neighbour, of the shape (M, …)."""
    copies = {name: weight.new_empty(len(directions), *weight.shape) for name, weight in weights.items()}
    Writer(copies, weights, len(directions)).write([[direction] for direction in directions])
    return {id(weight): copies[name] for name, weight in weights.items()}


def _forward(module: nn.Module, copies: dict[str, Tensor], count: int) -> Callable[[Tensor], Tensor]:
    """The module's forward over rows of which each neighbour has an equal run."""

    def one(own: dict[str, Tensor], rows: Tensor) -> Tensor:
        # Positions in one dimension: over several, a linear layer would spread a copy of its weights to every row.
        flat = functional_call(module, own, (rows.flatten(0, -2),))
        return flat.unflatten(0, rows.shape[:-1])

    each = vmap(one)
    return lambda rows: each(copies, rows.unflatten(0, (count, -1))).flatten(0, 1)
