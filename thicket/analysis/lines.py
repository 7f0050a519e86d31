"""Answers of models, at the points of the lines between them, and beside their base. Legend: A points, I items."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from transformers import GenerationConfig

from thicket.analysis.answers import Answers, answers
from thicket.analysis.case import Case, Subject
from thicket.analysis.moved import Moved, Place, beside, between
from thicket.analysis.weights import Change, Weights
from thicket.config.analysis import Connectivity
from thicket.models.folder import model_config
from thicket.sampling.decode import declared_ends
from thicket.sampling.environment import Environment

MIDDLE = 0.5
Floats = NDArray[np.float64]
Pair = tuple[int, int]
"""Places of two models: the first has the weight α."""


@dataclass(frozen=True)
class Asked:
    """All answers, by domain, in the order of the case."""

    own: Sequence[Sequence[Answers]]
    """Of each model, scored."""
    greedy: Sequence[Sequence[Answers]]
    """Of each model, at temperature 0."""
    lines: Mapping[Pair, Sequence[Floats]]
    """scores_AI on a line, both ends counted."""
    beside: Mapping[tuple[int, int], Sequence[Floats]]
    """(model, direction) → scores_I at the base and a random direction as long as the model's difference."""


def alphas(points: int) -> list[float]:
    """So many even weights from 0 to 1, and the middle, where an even number of them leaves it out."""
    return sorted({*np.linspace(0, 1, points).tolist(), MIDDLE})


class Asking:
    """One model in memory that goes from place to place."""

    def __init__(self, config: Connectivity, case: Case, weights: Sequence[Weights]):
        self.config, self.case, self.weights = config, case, weights
        self.moved = Moved(weights[0], case.device)
        # One rule for all places: an end that one of the models declares is an end of all.
        ends = {end for subject in case.models for end in _declared(subject)}
        self.environments = [replace(one, stop_ids=sorted({*one.stop_ids, *ends})) for one in case.environments]
        self.done = 0
        models, pairs = len(case.models), math.comb(len(case.models), 2)
        self.total = models + pairs * (len(alphas(config.points)) - 2) + (models - 1) * config.random_directions

    def ask(self, changed: Mapping[str, Change], seeds: Sequence[int]) -> Asked:
        """`changed`: how the parameters of the models changed; `seeds`: of the random directions."""
        device, models = self.case.device, range(len(self.weights))
        own, greedy = list[list[Answers]](), list[list[Answers]]()
        for model in models:
            own.append(self._at(between(self.weights[model], self.weights[model], 1.0, device)))
            # At one sample the scored answers are the greedy ones.
            greedy.append(own[-1] if self.config.samples == 1 else list(map(self._greedy, self.environments)))
        return Asked(
            own,
            greedy,
            lines={pair: self._line(own, *pair) for pair in combinations(models, 2)},
            beside={
                (model, number): _scores(self._at(beside(self.weights[0], changed, model - 1, seed, device)))
                for model in models[1:]
                for number, seed in enumerate(seeds)
            },
        )

    def _line(self, own: Sequence[Sequence[Answers]], first: int, second: int) -> list[Floats]:
        inner = [
            _scores(self._at(between(self.weights[first], self.weights[second], alpha, self.case.device)))
            for alpha in alphas(self.config.points)[1:-1]
        ]
        points = [_scores(own[second]), *inner, _scores(own[first])]
        return [np.stack(of_domain) for of_domain in zip(*points, strict=True)]

    def _at(self, place: Place) -> list[Answers]:
        model, samples = self.moved.to(place), self.config.samples
        found = [
            answers(self.case, model, environment, samples, temperature=0.0 if samples == 1 else 1.0)
            for environment in self.environments
        ]
        self.done += 1
        self.case.tell(self.done / self.total, f"{self.done} of {self.total} points, {_mean(found):.3f}")
        return found

    def _greedy(self, environment: Environment) -> Answers:
        return answers(self.case, self.moved.model, environment)


def _declared(subject: Subject) -> list[int]:
    """Tokens that end a text, as a model's own files say."""
    try:
        config: Any = GenerationConfig.from_pretrained(subject.folder, local_files_only=True)
    except OSError:  # without a generation config transformers makes one of the model's
        config = model_config(subject.folder)
    return declared_ends(config)


def _scores(found: Sequence[Answers]) -> list[Floats]:
    return [of_domain.scores_I for of_domain in found]


def _mean(found: Sequence[Answers]) -> float:
    return float(np.mean([of_domain.scores_I.mean() for of_domain in found]))
