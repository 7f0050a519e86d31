"""The selection items' verdict on a way to answer: what the searches and controls choose by."""

from dataclasses import replace
from pathlib import Path

from transformers import PreTrainedModel

from thicket.config.answering import Answering
from thicket.config.run import Evaluation
from thicket.config.stages import SpecialistStage
from thicket.evaluation.evaluator import Evaluator, score
from thicket.evaluation.scores import ItemScore
from thicket.evaluation.way import way_of
from thicket.sampling.environment import load_environment
from thicket.sampling.prompts import Tokenizer


def selection_scores(
    config: SpecialistStage,
    answering: Answering,
    model: PreTrainedModel,
    tokenizer: Tokenizer,
    data: Path,
    samples: int,
    title: str,
    most: int | None = None,
) -> list[ItemScore]:
    """The scores of the first `most` selection items (None: all); `samples`: answers to each, where none is voted on.

    An item's draws are the same whatever the way to answer. Raises: ValueError where a prompt does not fit the window.
    """
    settings = Evaluation(samples=samples, ks=[1], split="selection")
    way, domain = way_of(answering, settings), config.domain
    whole = load_environment(domain, data / domain.name, settings.split, tokenizer, way.template)
    environment = replace(whole, items=whole.items[:most], prompts=whole.prompts[:most])
    seed, batch = config.seed, config.sampler.batch
    module = Evaluator(model, tokenizer, [environment], way, samples, greedy=False, seed=seed, sampler_batch=batch)
    return score(module, config.trainer, title)[domain.name]


def share_correct(scores: list[ItemScore]) -> float:
    """Mean over items of the share of their answers that are correct."""
    return sum(row.correct / row.samples for row in scores) / len(scores)
