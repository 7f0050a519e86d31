"""Task arithmetic: the base and the teachers' differences from it (Ilharco et al. 2023, arXiv 2212.04089).

θ = θ_base + λ Σ w_i δ_i with δ_i = θ_i − θ_base, by mergekit. Nothing is trained. With n teachers, λ = 1/n and equal
weights of 1 it is their mean. The paper chooses one λ for all on held-out items, as `scales` does.
"""

from torch import Tensor

from thicket.config.merging import TaskArithmetic
from thicket.methods.recipe import Recipe, best_scale
from thicket.models.merging import Merge, combined

choose = best_scale


def merge(method: TaskArithmetic, recipe: Recipe, seed: int) -> Merge:
    """What makes a tensor of the sum."""

    def add(name: str, base: Tensor, models: list[Tensor]) -> Tensor:
        return combined("task_arithmetic", models, recipe.weights, base, {"lambda": recipe.scale})

    return add
