"""A model's answers to the items of a domain. Legend: I items, G answers to an item."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thicket.analysis.case import Case
from thicket.analysis.sampled import judged
from thicket.ops import draws
from thicket.sampling.decode import Decoding
from thicket.sampling.environment import Environment
from thicket.sampling.rollouts import Request, Response, respond


@dataclass(frozen=True)
class Answers:
    """G answers to each of I items."""

    responses: list[list[Response]]
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
    domain = environment.domain
    decoding = Decoding(temperature, most=domain.window.response)
    requests = [
        Request(prompt, draws.key(case.seed, int(item.id, 16)), samples)
        for prompt, item in zip(environment.prompts, environment.items, strict=True)
    ]
    responses = list(respond(model, case.tokenizer, requests, decoding, environment.stop_ids, domain.stop, case.batch))
    return Answers(responses, judged(case, model, environment, responses))
