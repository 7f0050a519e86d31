"""A model's answers to the items of a domain. Legend: I items, G answers to an item."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thicket.analysis.case import Case
from thicket.analysis.sampled import Groups, judged, sampled
from thicket.sampling.decode import Decoding
from thicket.sampling.environment import Environment


@dataclass(frozen=True)
class Answers:
    """G answers to each of I items."""

    responses: Groups
    correct_IG: NDArray[np.bool_]

    @property
    def scores_I(self) -> NDArray[np.float64]:
        """Share of each item's answers that are correct."""
        return self.correct_IG.mean(axis=1)

    @property
    def texts(self) -> list[str]:
        """All answers, item by item."""
        return [response.text for group in self.responses for response in group]


def answers(case: Case, model: Any, environment: Environment, samples: int = 1, temperature: float = 0.0) -> Answers:
    """G = `samples` answers to each item: greedy at temperature 0, else with an evaluation's draws."""
    decoding = Decoding(temperature, most=environment.domain.window.response)
    responses = sampled(case, model, environment, decoding, samples)
    return Answers(responses, judged(case, model, environment, responses))
