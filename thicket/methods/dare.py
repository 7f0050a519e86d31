"""DARE: drop differences at random and rescale the rest, then merge (Yu et al. 2024, arXiv 2311.03099).

Each element of a teacher's δ_i = θ_i − θ_base is dropped with the chance p, the others are divided by 1 − p, so that
the mean over draws is δ_i; then the teachers are merged by task arithmetic, or by TIES without trimming. The draws
depend on the seed, the teacher's name and the tensor's name, not on their order. mergekit merges and does not drop: its
own `dare` rescales to equal Σ|δ_i|, which is not the paper's 1/(1 − p), and draws from the global generator.
"""

from torch import Tensor

from thicket.config.merging import Dare
from thicket.methods.recipe import Recipe, best_scale
from thicket.models.merging import Merge, combined
from thicket.ops.dropping import dropped
from thicket.ops.noise import key_of

choose = best_scale


def merge(method: Dare, recipe: Recipe, seed: int) -> Merge:
    """What makes a merged tensor."""

    def drop_and_merge(name: str, base: Tensor, models: list[Tensor]) -> Tensor:
        keys = [key_of(seed, f"{ingredient.name}/{name}") for ingredient in recipe.ingredients]
        left = [base + dropped(model - base, method.drop, key) for model, key in zip(models, keys, strict=True)]
        return combined(method.then, left, recipe.weights, base, {"lambda": recipe.scale})

    return drop_and_merge
