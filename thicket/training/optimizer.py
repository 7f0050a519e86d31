"""AdamW with a schedule."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import Module

from thicket.config.optimizer import Optimizer


def adamw(modules: Sequence[Module], config: Optimizer, rates: Sequence[float] = (1.0,)) -> torch.optim.AdamW:
    """The optimizer at its peak learning rate; `learning_rate` gives the rate of each step.

    Each module is a group of parameters, whose rate is a multiple (`scale` in the group) of the config's.
    """
    groups: list[dict[str, Any]] = [
        {"params": [p for p in module.parameters() if p.requires_grad], "lr": config.lr * rate, "scale": rate}
        for module, rate in zip(modules, rates, strict=False)
    ]
    betas = (config.betas[0], config.betas[1])
    return torch.optim.AdamW(groups, lr=config.lr, betas=betas, weight_decay=config.weight_decay, fused=True)


def learning_rate(config: Optimizer, step: int, total: int | None) -> float:
    """The rate of optimizer step `step` (from 0): linear warm-up, then constant, or a cosine to 0 at step `total`."""
    if step < config.warmup:
        return config.lr * (step + 1) / config.warmup
    if config.schedule == "constant" or total is None:
        return config.lr
    progress = (step - config.warmup) / max(1, total - config.warmup)
    return config.lr * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
