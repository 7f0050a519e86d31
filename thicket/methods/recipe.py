"""What a student in weight space is made of, and the choice of its scale."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from thicket.config.merging import TaskVectors


@dataclass(frozen=True)
class Ingredient:
    """A model that goes into another."""

    name: str
    folder: Path
    weight: float
    """w_i, relative to the others in a mean; above 0."""


@dataclass(frozen=True)
class Recipe:
    """A point in weight space."""

    ingredients: tuple[Ingredient, ...]
    """Those of a choice come in the order in which they were taken."""
    scale: float = 1.0
    """λ, the factor on what is added to the base; a mean adds nothing, and has none."""

    @property
    def weights(self) -> list[float]:
        return [ingredient.weight for ingredient in self.ingredients]


Score = Callable[[Recipe], float]
"""Share of correct answers to the selection items; higher is better."""


def best_scale(method: TaskVectors, ingredients: tuple[Ingredient, ...], score: Score) -> Recipe:
    """All ingredients at the scale with the best score, ties going to the earlier one; a single scale is not scored."""
    recipes = [Recipe(ingredients, scale) for scale in method.scales]
    return recipes[0] if len(recipes) == 1 else max(recipes, key=score)
