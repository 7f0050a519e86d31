"""The scorer that the item's reasoning-gym task brings along."""

import copy
import inspect
import json
import re
from collections.abc import Callable
from functools import cache
from typing import Any

from thicket.config.domain import ReasoningGymVerifier
from thicket.domains import gym
from thicket.domains.item import Item

RUNS_TEXT = re.compile(r"\b(eval|exec|parse_expr)\(")
"""Calls, in the source of a task, that run text as Python code (sympy's parse_expr does too)."""


def verify(config: ReasoningGymVerifier, response: str, item: Item) -> bool:
    """Correct if the scorer gives at least the threshold.

    Raises: ValueError where the package is missing, or the task's scorer runs text as code.
    """
    reference = item.reference
    score = _scorer(reference["task"], json.dumps(reference["params"], sort_keys=True))
    try:
        return bool(score(response.strip(), copy.deepcopy(reference["entry"])) >= config.threshold)
    except Exception:  # Many scorers raise on text that isn't of the form that they parse: such text is no answer.
        return False


@cache
def _scorer(task: str, params: str) -> Callable[[str, dict[str, Any]], float]:
    made = gym.dataset(task, json.loads(params), seed=0, size=1)
    if RUNS_TEXT.search(inspect.getsource(type(made))):
        wrong = "its scorer runs text as Python code, and a model's response must not be run outside a sandbox"
        raise ValueError(f"verifier reasoning-gym: task {task}: {wrong}; allowed: the verifiers exact and number")
    return made.score_answer
