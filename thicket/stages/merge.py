"""A student that is computed from its teachers' weights."""

from importlib import import_module
from typing import Any

from transformers import PreTrainedModel

from thicket.config.merging import Chosen, Merging
from thicket.config.stages import StudentStage
from thicket.methods.recipe import Ingredient, Recipe
from thicket.models.folder import check_same_vocabulary, load_tokenizer, save_model
from thicket.models.merging import merged
from thicket.stages.outcome import Outcome, Places


def merge(config: StudentStage, method: Merging, places: Places) -> Outcome:
    """Makes a merged student's folder; teachers with a weight of 0 stay out.

    Raises: ValueError where the teachers have other tokens or other tensors than the base; Interrupted.
    """
    base = places.models / config.base
    for teacher in config.teachers:
        check_same_vocabulary(base, places.models / teacher.name)
    module: Any = import_module(f"thicket.methods.{method.type}")  # One type, one module.

    def make(recipe: Recipe) -> PreTrainedModel:
        folders = [ingredient.folder for ingredient in recipe.ingredients]
        return merged(base, folders, module.merge(method, recipe, config.seed))

    given = tuple(
        Ingredient(teacher.name, places.models / teacher.name, teacher.weight)
        for teacher in config.teachers
        if teacher.weight > 0
    )
    parents = [config.base, *(teacher.name for teacher in config.teachers)]
    if isinstance(method, Chosen) and config.domains:
        from thicket.stages.choice import Choice

        choice = Choice(config, method.select_samples, make, places)
        recipe = module.choose(method, given, choice.score)
        outcome = choice.outcome(recipe, parents)
    else:
        recipe, outcome = module.choose(method, given, _nothing_to_choose), Outcome(parents=parents)
    save_model(make(recipe), load_tokenizer(base), places.out)
    names = ", ".join(ingredient.name for ingredient in recipe.ingredients)
    print(f"student {config.name}: {method.type} of {names}, λ {recipe.scale:g}", flush=True)
    return outcome


def _nothing_to_choose(recipe: Recipe) -> float:
    raise AssertionError(f"no domain to score {recipe} on, which `thicket check` sees to")
