"""The score that checkpoints, and models of a sweep, are chosen by: sampled pass@1 on the selection items."""

from collections.abc import Sequence

from transformers import PreTrainedModel

from thicket import ranks
from thicket.ops import draws
from thicket.sampling.decode import Decoding
from thicket.sampling.environment import Environment
from thicket.sampling.prompts import Tokenizer
from thicket.sampling.rollouts import Request
from thicket.sampling.sampler import Sampler, shared_responses

SELECTION = 3
"""Stream of draws, apart from those of a training's order and samples."""


def score(
    model: PreTrainedModel,
    tokenizer: Tokenizer,
    environments: Sequence[Environment],
    temperature: float,
    seed: int,
    samples: int,
    sampler: Sampler,
) -> float:
    """The share of correct responses, `samples` an item, untruncated; the mean over the environments.

    The draws are the same at every call: differences between two models are the models'.
    """
    shares = []
    for index, environment in enumerate(environments):
        requests = [
            Request(prompt, draws.key(seed, SELECTION, index, place), samples)
            for place, prompt in enumerate(environment.prompts)
        ]
        domain = environment.domain
        decoding = Decoding(temperature, most=domain.window.response)
        stops = environment.stop_ids, domain.stop
        groups = shared_responses(sampler, model, tokenizer, requests, decoding, stops)
        answered = [
            (response.text, item) for item, group in zip(environment.items, groups, strict=True) for response in group
        ]
        verdicts = ranks.spread(answered, environment.judge)
        shares.append(sum(verdict.correct for verdict in verdicts) / len(verdicts))
    return sum(shares) / len(shares)
