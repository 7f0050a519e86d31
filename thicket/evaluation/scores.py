"""From responses to scores of items: each sample by itself, or a vote of them."""

from collections.abc import Sequence
from dataclasses import dataclass

from thicket.domains.item import Item
from thicket.domains.registry import extract_of
from thicket.sampling.environment import Environment
from thicket.sampling.rollouts import Response
from thicket.statistics.votes import elected

Groups = Sequence[Sequence[Response]]
"""Responses to each of some items, in the items' order."""


@dataclass(frozen=True)
class ItemScore:
    """What a model made of one item."""

    item: str
    """The item's id."""
    level: int
    samples: int
    """Answers, n: sampled responses, or one vote."""
    correct: int
    """Those that are correct, c."""
    greedy: int | None
    """1 where the greedy response is correct, else 0; None where none was asked for."""
    length: float
    """Mean tokens of the responses."""
    truncated: float
    """Share of the responses that the window cut off."""
    calls: int
    """Responses that an answer takes."""
    prompt: int
    """Prompt tokens that are read for an answer."""


def sampled_scores(environment: Environment, places: range, sampled: Groups, greedy: Groups | None) -> list[ItemScore]:
    """Scores of the items at some places of an environment: every sampled response is an answer."""
    items = environment.items[places.start : places.stop]
    answered = [(response.text, item) for item, group in zip(items, sampled, strict=True) for response in group]
    verdicts = iter(environment.judge(answered))
    best = [None] * len(items) if greedy is None else _greedy(environment, items, greedy)
    return [
        ItemScore(
            item=item.id,
            level=item.level,
            samples=len(group),
            correct=sum(next(verdicts).correct for _ in group),
            greedy=correct,
            **_measured(group),
            calls=1,
            prompt=len(environment.prompts[place]),
        )
        for place, item, group, correct in zip(places, items, sampled, best, strict=True)
    ]


def _greedy(environment: Environment, items: list[Item], greedy: Groups) -> list[int]:
    judged = environment.judge([(response.text, item) for item, (response,) in zip(items, greedy, strict=True)])
    return [int(verdict.correct) for verdict in judged]


def vote_scores(environment: Environment, places: range, voters: Groups, readings: int) -> list[ItemScore]:
    """Scores of the items at some places of an environment: one answer an item, which its responses vote on.

    The responses to an item come in the order of their voters' rank, and their prompt was read `readings` times. What
    counts is the verdict on the first response that gave the winning answer; no valid vote is wrong.
    """
    items = environment.items[places.start : places.stop]
    extract = extract_of(environment.domain.verifier)
    winners = [
        elected([extract(response.text, item) for response in group]) for item, group in zip(items, voters, strict=True)
    ]
    spoken = [
        (group[winner].text, item)
        for item, group, winner in zip(items, voters, winners, strict=True)
        if winner is not None
    ]
    verdicts = iter(environment.judge(spoken))
    return [
        ItemScore(
            item=item.id,
            level=item.level,
            samples=1,
            correct=0 if winner is None else int(next(verdicts).correct),
            greedy=None,
            **_measured(group),
            calls=len(group),
            prompt=readings * len(environment.prompts[place]),
        )
        for place, item, group, winner in zip(places, items, voters, winners, strict=True)
    ]


def _measured(group: Sequence[Response]) -> dict[str, float]:
    return {
        "length": sum(len(response.tokens) for response in group) / len(group),
        "truncated": sum(not response.stopped for response in group) / len(group),
    }
