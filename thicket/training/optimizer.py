"""AdamW with a schedule."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, distributed
from torch.nn import Module

from thicket import ranks
from thicket.config.optimizer import Optimizer
from thicket.training.shards import DealtAdamW


def adamw(modules: Sequence[Module], config: Optimizer, rates: Sequence[float] = (1.0,)) -> torch.optim.AdamW:
    """The optimizer at its peak learning rate; `learning_rate` gives the rate of each step.

    Each module is a group of parameters, whose rate is a multiple (`scale` in the group) of the config's.
    """
    groups: list[dict[str, Any]] = [
        {"params": [p for p in module.parameters() if p.requires_grad], "lr": config.lr * rate, "scale": rate}
        for module, rate in zip(modules, rates, strict=False)
    ]
    betas = (config.betas[0], config.betas[1])
    kind = DealtAdamW if ranks.shards() else torch.optim.AdamW
    return kind(groups, lr=config.lr, betas=betas, weight_decay=config.weight_decay, fused=True)


def take_gradients(optimizer: torch.optim.Optimizer) -> None:
    """Adds up the gradients of all processes, where there are several."""
    if isinstance(optimizer, DealtAdamW):
        optimizer.deal_gradients()
        return
    ranks.sum_gradients([parameter for group in optimizer.param_groups for parameter in group["params"]])


def clip_norm(parameters: list[torch.nn.Parameter], most: float) -> Tensor:
    """The norm of the gradients, which are scaled down where it is above `most`."""
    if not ranks.shards():
        return torch.nn.utils.clip_grad_norm_(parameters, most)
    own = torch.nn.utils.get_total_norm([one.grad for one in parameters if one.grad is not None])
    squares = own.to(parameters[0].device).square()
    distributed.all_reduce(squares)
    norm = squares.sqrt()
    torch.nn.utils.clip_grads_with_norm_(parameters, most, norm)
    return norm


def learning_rate(config: Optimizer, step: int, total: int | None) -> float:
    """The rate of optimizer step `step` (from 0): linear warm-up, then constant, or a cosine to 0 at step `total`."""
    if step < config.warmup:
        return config.lr * (step + 1) / config.warmup
    if config.schedule == "constant" or total is None:
        return config.lr
    progress = (step - config.warmup) / max(1, total - config.warmup)
    return config.lr * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
