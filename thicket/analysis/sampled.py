"""Responses of a model to the items of a domain, and which are correct. Legend: I items, G responses to an item."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from thicket import ranks
from thicket.analysis.case import Case
from thicket.ops import draws
from thicket.sampling.decode import Decoding
from thicket.sampling.environment import Environment
from thicket.sampling.judging import with_judge
from thicket.sampling.rollouts import Request, Response
from thicket.sampling.sampler import TorchSampler, shared_responses

Groups = list[list[Response]]


def sampled(case: Case, model: Any, environment: Environment, decoding: Decoding, samples: int, *stream: int) -> Groups:
    """G responses to each item; an item's draws depend on the item, the seed and the stream, and on no model.

    Without a stream they are an evaluation's.
    """
    requests = [
        Request(prompt, draws.key(case.seed, *stream, int(item.id, 16)), samples)
        for prompt, item in zip(environment.prompts, environment.items, strict=True)
    ]
    stops = environment.stop_ids, environment.domain.stop
    return shared_responses(TorchSampler(case.batch), model, case.tokenizer, requests, decoding, stops)


def plain(environment: Environment) -> Decoding:
    """The model's own distribution, up to the domain's window."""
    return Decoding(1.0, most=environment.domain.window.response)


def judged(case: Case, model: Any, environment: Environment, groups: Groups) -> NDArray[np.bool_]:
    """correct_IG; equal responses to an item are judged once. `model` answered, and judges itself where it is asked."""
    pairs = [(response.text, place) for place, group in enumerate(groups) for response in group]
    distinct = list(dict.fromkeys(pairs))
    judge = with_judge(environment, model, case.tokenizer, TorchSampler(case.batch)).judge
    verdicts = ranks.spread([(text, environment.items[place]) for text, place in distinct], judge)
    correct = {pair: verdict.correct for pair, verdict in zip(distinct, verdicts, strict=True)}
    return np.array([correct[pair] for pair in pairs], dtype=bool).reshape(len(groups), -1)
