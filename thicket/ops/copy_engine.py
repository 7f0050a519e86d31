"""What kernels ask for that move tiles with a GPU's copy engine, as the chips of data centres since Hopper have it."""

import torch
from torch import Tensor

GENERATIONS = (9, 10)
"""Major compute capability: Hopper and Blackwell of data centres. Others lack the engine, or room for its tiles."""
ALIGNED = 16
"""Elements of a row are a multiple of this many: rows begin at multiples of 16 bytes, whatever their type."""


def movable(*matrices: Tensor) -> bool:
    """Whether such kernels take these matrices: in bfloat16, on such a GPU, with aligned rows."""
    fit = all(one.is_cuda and one.dtype == torch.bfloat16 and one.shape[1] % ALIGNED == 0 for one in matrices)
    return fit and torch.cuda.get_device_capability(matrices[0].device)[0] in GENERATIONS
