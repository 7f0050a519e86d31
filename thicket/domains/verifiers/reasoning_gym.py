"""The scorer that the item's reasoning-gym task brings along."""

import copy
import inspect
import json
import re
from collections.abc import Sequence
from functools import cache
from typing import Any

from thicket.config.verifier import ReasoningGymVerifier
from thicket.domains import gym
from thicket.domains.item import Item
from thicket.domains.pool import run_isolated
from thicket.domains.sandbox.launch import require
from thicket.domains.verdict import Verdict

SCORE = f"{gym.__name__}:{gym.score.__name__}"
RUNS_TEXT = re.compile(r"\b(eval|exec|parse_expr)\(")
"""Calls, in the source of a task, that run text as Python code (sympy's parse_expr does too)."""
WATCH_SECONDS = 10.0
"""What a worker may take beyond the limits of a call, which it watches itself, before it is replaced."""


def judge(config: ReasoningGymVerifier, answered: Sequence[tuple[str, Item]]) -> list[Verdict]:
    """Correct where the scorer gives at least the threshold; a scorer that runs text as code does it in a sandbox.

    Raises: ValueError where the package is missing, or a sandbox is needed and isn't to be had on this machine.
    """
    verdicts = {
        place: _verdict(config, response, item)
        for place, (response, item) in enumerate(answered)
        if not _runs_text(item)
    }
    boxed = [place for place in range(len(answered)) if place not in verdicts]
    if boxed:
        require(config)
        arguments = [{**answered[place][1].reference, "response": answered[place][0].strip()} for place in boxed]
        seconds = config.limits.wall_seconds + WATCH_SECONDS
        outcomes = run_isolated(SCORE, arguments, seconds, config.workers, config)
        for place, outcome in zip(boxed, outcomes, strict=True):
            score = outcome.value if isinstance(outcome.value, float) else None
            verdicts[place] = _graded(config, score, outcome.reason)
    return [verdicts[place] for place in range(len(answered))]


def _verdict(config: ReasoningGymVerifier, response: str, item: Item) -> Verdict:
    entry = copy.deepcopy(item.reference["entry"])
    try:
        score = float(_made(item).score_answer(response.strip(), entry))
    except Exception:  # Many scorers raise on text that isn't of the form that they parse: such text is no answer.
        score = None
    return _graded(config, score)


def _graded(config: ReasoningGymVerifier, score: float | None, reason: str = "") -> Verdict:
    """`score`: None where there is none. Some scorers leave [0, 1]."""
    correct = score is not None and score >= config.threshold
    grade = min(1.0, max(0.0, score or 0.0)) if config.partial else None
    return Verdict(correct, reason, grade=grade)


def _runs_text(item: Item) -> bool:
    return RUNS_TEXT.search(inspect.getsource(type(_made(item)))) is not None


def _made(item: Item) -> Any:
    return _data_set(item.reference["task"], json.dumps(item.reference["params"], sort_keys=True))


@cache
def _data_set(task: str, params: str) -> Any:
    return gym.dataset(task, json.loads(params), seed=0, size=1)
