"""What tells a model's weights from others."""

from typing import Any

import torch

WORDS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
"""Bytes of a number → whole numbers of that width."""


def fingerprint(model: Any) -> tuple[list[int], list[str]]:
    """The sum of each tensor's bits, a whole number, and the adapters at work: the same on every device.

    One pass over memory. torch counts writes in place too, but not those of a fused optimizer, which is what we train
    with.
    """
    tensors = [*model.parameters(), *model.buffers()]
    sums = [tensor.detach().view(WORDS[tensor.element_size()]).sum(dtype=torch.int64) for tensor in tensors]
    adapters = list(model.active_adapters) if hasattr(model, "merge_and_unload") else []
    return torch.stack(sums).tolist(), adapters
