"""The selection items' verdict on a way to answer: what searches, controls and merges choose by."""

import time
from dataclasses import dataclass, replace
from pathlib import Path

from transformers import PreTrainedModel

from thicket.config.answering import Answering
from thicket.config.run import Evaluation
from thicket.config.stages import SpecialistStage, StudentStage
from thicket.evaluation.evaluator import Evaluator, score
from thicket.evaluation.scores import ItemScore
from thicket.evaluation.way import way_of
from thicket.sampling.environment import load_environment
from thicket.sampling.prompts import Tokenizer
from thicket.sampling.sampler import sampler_of


@dataclass(frozen=True)
class Tried:
    """What a candidate came to."""

    score: float
    """Share of the answers to the selection items that are correct, the mean over the domains."""
    read: int
    """Prompt tokens."""
    generated: int
    seconds: float


def tried(
    config: SpecialistStage | StudentStage,
    answering: Answering,
    model: PreTrainedModel,
    tokenizer: Tokenizer,
    data: Path,
    samples: int,
    title: str,
    most: int | None = None,
) -> Tried:
    """Tries a way to answer out on the first `most` selection items of each domain (None: all).

    `samples`: answers to each, where none is voted on; an item's draws are the same whatever the way to answer.
    Raises: ValueError where a prompt does not fit the window; Interrupted.
    """
    started = time.monotonic()
    way = way_of(answering, Evaluation(samples=samples, ks=[1], split="selection"))
    domains = [config.domain] if isinstance(config, SpecialistStage) else config.domains
    wholes = [load_environment(one, data / one.name, "selection", tokenizer, way.template) for one in domains]
    environments = [replace(whole, items=whole.items[:most], prompts=whole.prompts[:most]) for whole in wholes]
    seed, sampler = config.seed, sampler_of(config.sampler)
    module = Evaluator(model, tokenizer, environments, way, samples, greedy=False, seed=seed, sampler=sampler)
    scores = score(module, config.trainer, title)
    rows = [row for of_domain in scores.values() for row in of_domain]
    shares = [sum(row.correct / row.samples for row in of_domain) / len(of_domain) for of_domain in scores.values()]
    return Tried(
        score=sum(shares) / len(shares),
        read=sum(row.prompt for row in rows),
        generated=sum(map(_generated, rows)),
        seconds=time.monotonic() - started,
    )


def _generated(row: ItemScore) -> int:
    return round(row.samples * row.calls * row.length)  # a whole number but for the mean's rounding
