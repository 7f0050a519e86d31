"""How weights are moved by their gradients."""

from typing import Annotated, Literal

from pydantic import Field

from thicket.config.fields import Count, NonNegative, PositiveFloat, Share, Strict


class Optimizer(Strict):
    """AdamW (Loshchilov & Hutter 2019), with linear warm-up and then a constant or cosine learning rate."""

    lr: PositiveFloat
    """Peak learning rate."""
    weight_decay: NonNegative = 0.0
    """Decoupled weight decay."""
    betas: Annotated[list[Share], Field(min_length=2, max_length=2)] = [0.9, 0.95]
    """Decay rates of the first and second moment."""
    warmup: Count = 0
    """Optimizer steps of linear warm-up."""
    schedule: Literal["constant", "cosine"] = "constant"
    """After the warm-up: stay, or fall to zero along a cosine at the last planned step."""
    clip: PositiveFloat = 1.0
    """Largest norm of the gradient over all parameters."""
