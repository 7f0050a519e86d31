"""The greedy soup's choice, on scores that are given."""

from itertools import permutations
from pathlib import Path

from thicket.config.merging import GreedySoup, TaskArithmetic
from thicket.methods.greedy_soup import choose
from thicket.methods.recipe import Ingredient, Recipe, best_scale

METHOD = GreedySoup(type="greedy_soup")
# Points on a line; the nearer the mean is to 10, the better.
PLACES = {"a": 4.0, "b": 9.0, "c": 12.0, "d": 30.0, "e": 11.0, "f": 9.0}


class Line:
    """Scores a mean by its place, and remembers what was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []

    def score(self, recipe: Recipe) -> float:
        names = tuple(one.name for one in recipe.ingredients)
        self.asked.append(names)
        return -abs(sum(PLACES[name] for name in names) / len(names) - 10)


def ingredients(names: str) -> tuple[Ingredient, ...]:
    return tuple(Ingredient(name, Path(name), 1.0) for name in names)


def taken(recipe: Recipe) -> str:
    return "".join(one.name for one in recipe.ingredients)


def test_a_choice_by_hand() -> None:
    """b, e and f are 1 away, in the order of their names; c is 2 away, a 6."""
    line = Line()
    # b + e = 10; f makes it 9.67, c 10.67, a 8: all lower it.
    assert taken(choose(METHOD, ingredients("acefb"), line.score)) == "be"
    together = [names for names in line.asked if len(names) > 1]
    assert together == [("b", "e"), ("b", "e", "f"), ("b", "e", "c"), ("b", "e", "a")]


def test_what_changes_nothing_is_taken() -> None:
    assert taken(choose(METHOD, ingredients("bf"), Line().score)) == "bf"


def test_the_order_of_declaration_is_nothing() -> None:
    found = {taken(choose(METHOD, order, Line().score)) for order in permutations(ingredients("abcde"))}
    assert found == {"be"}


def test_never_below_its_best_ingredient() -> None:
    for order in permutations(ingredients("abcdef"), 4):
        line = Line()
        chosen = choose(METHOD, order, line.score)
        assert line.score(chosen) >= max(line.score(Recipe((one,))) for one in order)


def test_it_scores_as_many_as_the_estimate_says() -> None:
    for names in ("a", "ab", "abcd"):
        line = Line()
        choose(METHOD, ingredients(names), line.score)
        assert len(line.asked) == METHOD.scored(len(names))


def test_the_best_scale_and_the_first_of_equals() -> None:
    method = TaskArithmetic(type="task_arithmetic", scales=[0.1, 0.5, 1.0, 1.5])
    given = ingredients("ab")
    assert best_scale(method, given, lambda recipe: -abs(recipe.scale - 0.6)).scale == 0.5
    assert best_scale(method, given, lambda recipe: 0.0).scale == 0.1
    assert method.scored(2) == 4


def test_a_single_scale_is_not_scored() -> None:
    method = TaskArithmetic(type="task_arithmetic", scales=[0.4])
    line = Line()
    assert best_scale(method, ingredients("ab"), line.score) == Recipe(ingredients("ab"), 0.4)
    assert line.asked == []
    assert method.scored(2) == 0
