"""The order of what is trained on: each pass over a set goes in a new order, which a key fixes."""

from functools import lru_cache

import torch

from thicket.ops import draws


@lru_cache(maxsize=64)
def shuffled(size: int, key: int) -> list[int]:
    """The whole numbers below `size` in the key's order."""
    generator = torch.Generator().manual_seed(key >> 1)  # seeds are signed words
    return torch.randperm(size, generator=generator).tolist()


def dealt(numbers: range | list[int], size: int, *key: int) -> list[int]:
    """Places in a set of `size` for positions of an endless run of passes over it, each pass in its own order."""
    return [shuffled(size, draws.key(*key, n // size))[n % size] for n in numbers]
