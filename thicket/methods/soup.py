"""Soup: the weighted mean of the teachers' weights (Wortsman et al. 2022, arXiv 2203.05482). Nothing is trained.

θ = Σ w_i θ_i / Σ w_i. The base gives the tokenizer alone. Teachers of one domain, over seeds or hyperparameters, are
the paper's case; specialists of several domains are that of distillation.
"""

from torch import Tensor

from thicket.config.merging import GreedySoup, Soup
from thicket.methods.recipe import Ingredient, Recipe, Score
from thicket.models.merging import Merge, combined


def choose(method: Soup, ingredients: tuple[Ingredient, ...], score: Score) -> Recipe:
    """All of them."""
    return Recipe(ingredients)


def merge(method: Soup | GreedySoup, recipe: Recipe, seed: int) -> Merge:
    """What makes a tensor of the mean."""

    def mean(name: str, base: Tensor, models: list[Tensor]) -> Tensor:
        return combined("linear", models, recipe.weights)

    return mean
