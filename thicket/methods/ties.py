"""TIES: trim, elect signs, merge what agrees (Yadav et al. 2023, arXiv 2306.01708). Nothing is trained.

Of each teacher's δ_i = θ_i − θ_base only the largest elements stay, a share `density` of each tensor (the paper ranks
those of the whole model together). Each place takes the sign of Σ w_i δ_i there, and the mean, weighted by w_i, of the
δ_i that have this sign and are not trimmed: the disjoint mean. θ = θ_base + λ · that mean, by mergekit.
"""

from mergekit.sparsify import SparsificationMethod, sparsify
from torch import Tensor

from thicket.config.merging import Ties
from thicket.methods.recipe import Recipe, best_scale
from thicket.models.merging import Merge, combined

choose = best_scale


def merge(method: Ties, recipe: Recipe, seed: int) -> Merge:
    """What makes a merged tensor."""

    def trim_and_merge(name: str, base: Tensor, models: list[Tensor]) -> Tensor:
        left = [base + sparsify(model - base, method.density, SparsificationMethod.magnitude) for model in models]
        return combined("ties", left, recipe.weights, base, {"lambda": recipe.scale})

    return trim_and_merge
