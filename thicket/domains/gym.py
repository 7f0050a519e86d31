"""The package reasoning-gym, an extra of thicket: its data sets, and its errors in words for people."""

import dataclasses
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from thicket.config.problems import nearest

THICKETS_OWN = ("seed", "size")
"""Keyword arguments of every data set that the source decides, not the config."""


def dataset(task: str, params: dict[str, Any], seed: int, size: int) -> Any:
    """A data set of reasoning-gym.

    Raises: ValueError where the package is missing, the task is unknown, or its parameters are wrong.
    """
    try:
        from reasoning_gym.factory import DATASETS, create_dataset
    except ImportError as error:
        wrong = f"the package reasoning-gym can't be imported ({error})"
        raise ValueError(f"{wrong}; `pip install reasoning-gym` installs it") from None
    if task not in DATASETS:
        raise ValueError(unknown("domain.source.task", task, "reasoning-gym has no such task", sorted(DATASETS)))
    known = [field.name for field in dataclasses.fields(DATASETS[task][1]) if field.name not in THICKETS_OWN]
    for name in params:
        if name not in known:
            raise ValueError(unknown("domain.source.params", name, f"no parameter of reasoning-gym's {task}", known))
    try:
        return create_dataset(task, seed=seed, size=size, **params)
    except Exception as error:  # Each task checks its parameters in its own way: assertions, type errors, …
        raise ValueError(f"domain.source.params = {params}: refused by reasoning-gym's {task}: {error}") from None


def unknown(path: str, given: str, wrong: str, allowed: Sequence[str]) -> str:
    """Message about a word that is none of those allowed."""
    meant = nearest(given, allowed)
    return f"{path} = {given}: {wrong}; allowed: {', '.join(allowed)}" + (f"; did you mean: {meant}" if meant else "")


def prepare() -> None:
    """Imports the package, once for all scores of a worker."""
    import_module("reasoning_gym.factory")


def score(task: str, params: dict[str, Any], entry: dict[str, Any], response: str) -> float:
    """What the task's scorer gives a response. Raises: whatever the scorer does."""
    return float(dataset(task, params, seed=0, size=1).score_answer(response, entry))
