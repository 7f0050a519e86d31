"""What simple self-distillation asks of a model, and what came of it (SSD, arXiv 2604.01193).

Samples come from q, the frozen model at the training temperature T on the kept support S. At every position of them the
exact expected loss of a model p_θ, −Σ q log p_θ, is taken apart (`thicket.ops.self_distillation`): `support`, −log of
the mass on S; `reshaping`, (1 − T)·H_{1/T}(p_θ|S); `anchor`, T·KL(q ‖ p_θ,T|S); `constant`, T·H(q). θ is the frozen
model, then the one that learned.

Both models are scored at temperature 1 with the same draws. Which items are hard is told by other samples of the frozen
model: those that it happens to fail in one set of samples it does better on in the next, whatever was learned, and a
split by the scored samples would take that for a gain (regression to the mean). Legend: I items, G responses to an
item, N positions.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from thicket import ranks
from thicket.analysis.case import Case
from thicket.analysis.found import Found, Row, Statistic
from thicket.analysis.gradients import Reader
from thicket.analysis.sampled import Groups, judged, plain, sampled
from thicket.config.analysis import SelfDistillation
from thicket.domains.registry import extract_of
from thicket.ops.self_distillation import expected_loss, parts, start_log_probs
from thicket.sampling.decode import Decoding
from thicket.sampling.environment import Environment

MODELS = ("frozen", "learned")
TERMS: tuple[str, ...] = ("support", "reshaping", "anchor", "constant", "total")
"""`total` is the loss itself, which the others sum to."""
TRAINING, PLACING, SCORING = 41, 42, 43
"""Streams of draws: training samples, the samples that say how hard an item is, and those that are scored."""
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Domain:
    """What was measured on a domain."""

    name: str
    terms: dict[str, dict[str, Floats]]
    """Model → term → its sum over each item's positions."""
    positions_I: Floats
    unusable_I: Floats
    """Training samples of each item that hold no answer."""
    sample_correct_I: Floats
    placed_I: Floats
    """The frozen model's pass rate in the samples that say how hard an item is."""
    scores: dict[str, Floats]
    """Model → pass rate of each item in the scored samples."""

    @property
    def gain_I(self) -> Floats:
        return self.scores["learned"] - self.scores["frozen"]


def analyze(config: SelfDistillation, case: Case) -> Found:
    """Statistics over items, and the tables `terms` and `difficulty`."""
    readers = [Reader(one.load(case.device), len(case.tokenizer), case.seed) for one in case.models]
    found = list[Domain]()
    for place, environment in enumerate(case.environments):
        found.append(_domain(config, case, readers, environment))
        gain = found[-1].gain_I.mean()
        case.tell((place + 1) / len(case.environments), f"{environment.domain.name}: gain {gain:+.3f}")
    return Found(
        [statistic for one in found for statistic in _statistics(config, one)],
        {
            "terms": [row for one in found for row in _terms(one)],
            "difficulty": [row for one in found for row in _difficulty(one)],
        },
    )


def _domain(config: SelfDistillation, case: Case, readers: list[Reader], environment: Environment) -> Domain:
    window, frozen = environment.domain.window.response, readers[0].model
    hot = Decoding(config.train_temperature, config.top_k, config.top_p, window)
    training = sampled(case, frozen, environment, hot, config.samples, TRAINING)
    asked = list(zip(environment.prompts, training, strict=True))
    terms = ranks.spread(asked, lambda mine: [_item(config, readers, *one) for one in mine])
    placing = sampled(case, frozen, environment, plain(environment), config.score_samples, PLACING)
    scores = {}
    for name, reader in zip(MODELS, readers, strict=True):
        scoring = sampled(case, reader.model, environment, plain(environment), config.score_samples, SCORING)
        scores[name] = judged(case, reader.model, environment, scoring).mean(axis=1)
    return Domain(
        name=environment.domain.name,
        terms={model: {term: np.array([one[model][term] for one in terms]) for term in TERMS} for model in MODELS},
        positions_I=np.array([sum(len(one.tokens) for one in group) for group in training], dtype=np.float64),
        unusable_I=_unusable(environment, training),
        sample_correct_I=judged(case, frozen, environment, training).sum(axis=1).astype(np.float64),
        placed_I=judged(case, frozen, environment, placing).mean(axis=1),
        scores=scores,
    )


@torch.no_grad()
def _item(
    config: SelfDistillation, readers: list[Reader], prompt: list[int], group: list[Any]
) -> dict[str, dict[str, float]]:
    """Model → term → its sum over the positions of an item's training samples."""
    readings = [reader.read(prompt, [one.tokens for one in group]) for reader in readers]
    sums: dict[str, dict[str, float]] = {model: dict.fromkeys(TERMS, 0.0) for model in MODELS}
    frozen, temperature = readers[0], config.train_temperature
    for part in frozen.chunks(len(readings[0].tokens_N)):
        logits_NV = frozen.logits(readings[0].hidden_NH[part])
        log_q_NV = start_log_probs(logits_NV, temperature, config.top_k, config.top_p)
        for model, reader, reading in zip(MODELS, readers, readings, strict=True):
            log_p_NV = reader.log_probs(reading.hidden_NH[part])
            apart = parts(log_p_NV, log_q_NV, temperature)
            values = (apart.support_B, apart.head_B, apart.anchor_B, apart.constant_B)
            for term, value_N in zip(TERMS, (*values, expected_loss(log_p_NV, log_q_NV)), strict=True):
                sums[model][term] += float(value_N.sum())
    return sums


def _unusable(environment: Environment, groups: Groups) -> Floats:
    """Responses to each item that the window cut off, or in which the verifier's module finds no answer."""
    extract = extract_of(environment.domain.verifier)

    def usable(response: Any, place: int) -> bool:
        return response.stopped and bool(extract(response.text, environment.items[place]))

    counts = [sum(not usable(one, place) for one in group) for place, group in enumerate(groups)]
    return np.array(counts, dtype=np.float64)


def harder(scores_I: Floats) -> Bools | None:
    """The half of the items with the lower scores; items of one score stay together, which may make the halves uneven.

    None where all have one score.
    """
    cuts = np.unique(scores_I)[:-1]
    if not cuts.size:
        return None
    return scores_I <= min(cuts, key=lambda cut: abs(int((scores_I <= cut).sum()) - len(scores_I) / 2))


def _statistics(config: SelfDistillation, one: Domain) -> Iterator[Statistic]:
    def of_items(name: str, amounts_I: Floats, weights_I: ArrayLike | None = None, of: str = "") -> Statistic:
        weights = None if weights_I is None else np.asarray(weights_I, dtype=np.float64).tolist()
        return Statistic(name, one.name, "item", amounts_I.tolist(), weights, of)

    for model in MODELS:
        for term in TERMS:
            yield of_items(term, one.terms[model][term], one.positions_I, model)
    samples_I = np.full(len(one.positions_I), config.samples)
    yield of_items("unusable", one.unusable_I, samples_I)
    yield of_items("sample_correct", one.sample_correct_I, samples_I)
    for model in MODELS:
        yield of_items("score", one.scores[model], of=model)
    yield of_items("gain", one.gain_I)
    hard_I = harder(one.placed_I)
    halves = {"hard": hard_I, "easy": None if hard_I is None else ~hard_I}
    for half, inside_I in halves.items():
        weights_I = np.zeros(len(one.gain_I)) if inside_I is None else inside_I.astype(np.float64)
        yield of_items(f"gain_{half}", one.gain_I * weights_I, weights_I)


def _terms(one: Domain) -> Iterator[Row]:
    """Means over positions, in nats."""
    positions = float(one.positions_I.sum())
    for model in MODELS:
        means = {term: float(one.terms[model][term].sum()) / positions for term in TERMS}
        yield {"domain": one.name, "model": model, "positions": round(positions), **means}


def _difficulty(one: Domain) -> Iterator[Row]:
    """By the frozen model's pass rate in the samples that are not scored, which is the bin."""
    for rate in np.unique(one.placed_I):
        inside_I = one.placed_I == rate
        scores = {model: float(one.scores[model][inside_I].mean()) for model in MODELS}
        yield {"domain": one.name, "bin": float(rate), "items": int(inside_I.sum()), **scores}
