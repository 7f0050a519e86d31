"""Answers of models, at the points of the lines between them, and beside their base. Legend: A points, I items."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations, product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from transformers import GenerationConfig

from thicket import ranks
from thicket.analysis.answers import Answers, answers
from thicket.analysis.case import Case, Subject
from thicket.analysis.moved import Moved, Place, beside, between
from thicket.analysis.weights import Change, Weights
from thicket.config.analysis import Connectivity
from thicket.models.folder import model_config
from thicket.sampling.decode import declared_ends

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


@dataclass(frozen=True)
class _Point:
    """Where a model is asked."""

    place: Callable[[], Place]
    own: bool = False
    """Whether it is one of the models itself, whose greedy answers are asked for too."""


class Asking:
    """One model in memory that goes from place to place."""

    def __init__(self, config: Connectivity, case: Case, weights: Sequence[Weights]):
        self.config, self.case, self.weights = config, case, weights
        self.moved = Moved(weights[0], case.device)
        # One rule for all places: an end that one of the models declares is an end of all.
        ends = {end for subject in case.models for end in _declared(subject)}
        self.environments = [replace(one, stop_ids=sorted({*one.stop_ids, *ends})) for one in case.environments]

    def ask(self, changed: Mapping[str, Change], seeds: Sequence[int]) -> Asked:
        """`changed`: how the parameters of the models changed; `seeds`: of the random directions."""
        weights, device, models = self.weights, self.case.device, range(len(self.weights))
        inner = list(product(combinations(models, 2), alphas(self.config.points)[1:-1]))
        off = list(product(models[1:], range(len(seeds))))
        # Points are dealt out, and not the items at each: to put a large model there takes as long as to ask it.
        points = [
            *(_Point(partial(between, one, one, 1.0, device), own=True) for one in weights),
            *(_Point(partial(between, weights[i], weights[j], alpha, device)) for (i, j), alpha in inner),
            *(_Point(partial(beside, weights[0], changed, i - 1, seeds[number], device)) for i, number in off),
        ]
        found = iter(ranks.spread(points, self._answered))
        own, greedy = zip(*(next(found) for _ in models), strict=True)
        inside = {where: _scores(next(found)[0]) for where in inner}
        return Asked(
            own,
            greedy,
            lines={pair: self._line(own, inside, pair) for pair in combinations(models, 2)},
            beside={where: _scores(next(found)[0]) for where in off},
        )

    def _line(
        self, own: Sequence[Sequence[Answers]], inside: Mapping[tuple[Pair, float], list[Floats]], pair: Pair
    ) -> list[Floats]:
        first, second = (_scores(own[model]) for model in pair)
        points = [second, *(inside[pair, alpha] for alpha in alphas(self.config.points)[1:-1]), first]
        return [np.stack(of_domain) for of_domain in zip(*points, strict=True)]

    def _answered(self, points: Sequence[_Point]) -> list[tuple[list[Answers], list[Answers]]]:
        """Of each point the scored answers, and of a model's own the greedy ones."""
        found = list[tuple[list[Answers], list[Answers]]]()
        for done, point in enumerate(points, start=1):
            self.moved.to(point.place())
            scored = self._said(self.config.samples)
            # At one sample the scored answers are the greedy ones.
            found.append((scored, self._said(1) if point.own and self.config.samples > 1 else scored))
            self.case.tell(done / len(points), f"{done} of {len(points)} points, {_mean(scored):.3f}")
        return found

    def _said(self, samples: int) -> list[Answers]:
        """By domain."""
        temperature = 0.0 if samples == 1 else 1.0
        return [answers(self.case, self.moved.model, one, samples, temperature) for one in self.environments]


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
