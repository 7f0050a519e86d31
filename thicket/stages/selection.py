"""The selection items' verdict on a way to answer: what searches, controls and merges choose by."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
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


def selection_scores(
    config: SpecialistStage | StudentStage,
    answering: Answering,
    model: PreTrainedModel,
    tokenizer: Tokenizer,
    data: Path,
    samples: int,
    title: str,
    most: int | None = None,
) -> dict[str, list[ItemScore]]:
    """Domain → scores of its first `most` selection items (None: all).

    `samples`: answers to each, where none is voted on; an item's draws are the same whatever the way to answer.
    Raises: ValueError where a prompt does not fit the window.
    """
    way = way_of(answering, Evaluation(samples=samples, ks=[1], split="selection"))
    domains = [config.domain] if isinstance(config, SpecialistStage) else config.domains
    wholes = [load_environment(one, data / one.name, "selection", tokenizer, way.template) for one in domains]
    environments = [replace(whole, items=whole.items[:most], prompts=whole.prompts[:most]) for whole in wholes]
    seed, batch = config.seed, config.sampler.batch
    module = Evaluator(model, tokenizer, environments, way, samples, greedy=False, seed=seed, sampler_batch=batch)
    return score(module, config.trainer, title)


def share_correct(scores: Mapping[str, Sequence[ItemScore]]) -> float:
    """Mean over domains of the mean over items of the share of their answers that are correct."""
    shares = [sum(row.correct / row.samples for row in rows) / len(rows) for rows in scores.values()]
    return sum(shares) / len(shares)
