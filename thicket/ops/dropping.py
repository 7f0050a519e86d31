"""Differences of weights dropped at random (DARE, Yu et al. 2024, arXiv 2311.03099). Legend: N elements."""

import torch
from torch import Tensor

from thicket.ops import draws

CHUNK = 2**22
"""Elements that are drawn at once: 32 MiB a word, of which a draw takes a few."""


def dropped(difference: Tensor, share: float, key: int) -> Tensor:
    """m ⊙ δ / (1 − p), where each element of m is 0 with the chance p (`share`, below 1) and else 1; as δ on average.

    An element's draw is a function of the key and its place: the same on every device and whatever else is drawn.
    """
    flat_N = difference.flatten()
    kept_N = torch.empty_like(flat_N, dtype=torch.bool)
    for start in range(0, flat_N.numel(), CHUNK):
        stop = min(start + CHUNK, flat_N.numel())
        places_N = torch.arange(start, stop, device=flat_N.device)
        kept_N[start:stop] = draws.uniform(places_N, key) >= share
    return torch.where(kept_N, flat_N / (1 - share), 0.0).view_as(difference)
