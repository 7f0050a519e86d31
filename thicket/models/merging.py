"""Models merged by their weights, tensor by tensor: memory holds the base, the result, and one tensor of each model."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

import torch
from mergekit.merge_methods import merge_tensors
from torch import Tensor
from transformers import PreTrainedModel

from thicket.models.folder import with_weights
from thicket.models.tensors import Tensors, check_same_shapes

Operation = Literal["linear", "task_arithmetic", "ties"]
"""mergekit's names."""
CHUNK = 2**22
"""Elements that are merged at once: mergekit holds a few copies of those of each model, 32 MiB each."""
Merge = Callable[[str, Tensor, list[Tensor]], Tensor]
"""(name of a tensor, the base's values, those of each model) → the merged values, all in float64."""


def combined(
    operation: Operation,
    models: Sequence[Tensor],
    weights: Sequence[float],
    base: Tensor | None = None,
    parameters: Mapping[str, float] | None = None,
) -> Tensor:
    """mergekit's merge of one tensor of several models, in float64; without trimming, so that places don't mix.

    `parameters`: of the operation, by mergekit's names.
    """
    given = [*models, *([] if base is None else [base])]
    of_each = {"weight": dict(enumerate(weights)), **(parameters or {})}
    base_index = None if base is None else len(models)
    pieces = [
        merge_tensors(list(piece), operation, parameters=of_each, base_index=base_index, dtype=torch.float64)
        for piece in zip(*(tensor.flatten().split(CHUNK) for tensor in given), strict=True)
    ]
    return torch.cat(pieces).view_as(models[0])


@torch.no_grad()
def merged(base: Path, folders: Sequence[Path], merge: Merge) -> PreTrainedModel:
    """The base with merged weights, in float32.

    Raises: ValueError where a folder holds no model, or not the tensors that the base has.
    """
    with ExitStack() as stack:
        own, *others = [Tensors(folder, stack) for folder in (base, *folders)]
        for other in others:
            check_same_shapes(own, other, (base.name, other.folder.name), "can't be merged with {}")
        state = {
            name: merge(name, own.read(name).double(), [one.read(name).double() for one in others]).float()
            for name in own.shapes
        }
    return with_weights(base, state)
