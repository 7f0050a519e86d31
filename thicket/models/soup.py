"""Weighted means of models in weight space."""

import torch
from torch import Tensor


def mean_of(states: list[dict[str, Tensor]], weights: list[float]) -> dict[str, Tensor]:
    """Σ w_i θ_i / Σ w_i for each tensor, summed in float64, in the first state's types (arXiv 2203.05482).

    Raises: ValueError where the states' names or shapes differ.
    """
    total = sum(weights)
    shapes = [{name: tensor.shape for name, tensor in state.items()} for state in states]
    if any(shape != shapes[0] for shape in shapes):
        raise ValueError("only models of one architecture can be averaged: their tensors' names or shapes differ")
    return {
        name: sum(
            (state[name].double() * (weight / total) for state, weight in zip(states, weights, strict=True)),
            start=torch.zeros((), dtype=torch.float64),
        ).to(first.dtype)
        for name, first in states[0].items()
    }
