"""Greedy soup: a mean of those teachers that don't lower its score (Wortsman et al. 2022, arXiv 2203.05482, recipe 1).

The teachers are sorted by their own score on the selection items of the student's domains, ties by name. The best one
begins; each of the others, in that order, is taken if the mean with it scores no less than the mean without it. So the
student scores no less than its best teacher on these items. The means are weighted by w_i, all equal in the paper.
"""

from thicket.config.merging import GreedySoup
from thicket.methods import soup
from thicket.methods.recipe import Ingredient, Recipe, Score

merge = soup.merge


def choose(method: GreedySoup, ingredients: tuple[Ingredient, ...], score: Score) -> Recipe:
    """Those that are taken, the best first."""
    alone = {one: score(Recipe((one,))) for one in ingredients}
    first, *others = sorted(ingredients, key=lambda one: (-alone[one], one.name))
    taken, best = Recipe((first,)), alone[first]
    for one in others:
        tried = Recipe((*taken.ingredients, one))
        found = score(tried)
        if found >= best:
            taken, best = tried, found
    return taken
