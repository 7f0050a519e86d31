"""What turns prompts into responses: one interface, thicket's own decode loop behind it, and the choice by config."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import torch
from torch import Tensor
from transformers import PreTrainedModel

from thicket import ranks
from thicket.config import run
from thicket.models.pooled import Pooled
from thicket.ops import draws
from thicket.sampling.decode import Decoding, Rows, decode, ends
from thicket.sampling.prompts import Tokenizer, texts_of
from thicket.sampling.rollouts import Request, Response


class Sampler(Protocol):
    """What turns prompts into responses."""

    @property
    def batch(self) -> int:
        """Responses that are decoded at once."""
        ...

    def respond(
        self,
        model: PreTrainedModel | Pooled,
        tokenizer: Tokenizer,
        requests: Sequence[Request],
        decoding: Decoding,
        stop_ids: list[int],
        stop: str | None,
        copies: int = 1,
    ) -> list[list[Response]]:
        """The responses to each request.

        A response ends at one of `stop_ids`, and at the ends of a text that the model itself declares. `copies`: the
        model is so many neighbours (`thicket.models.stacked`), of which each answers an equal run of the requests.
        """
        ...


@dataclass(frozen=True)
class TorchSampler:
    """Thicket's own decode loop."""

    batch: int

    @torch.no_grad()
    def respond(
        self,
        model: PreTrainedModel | Pooled,
        tokenizer: Tokenizer,
        requests: Sequence[Request],
        decoding: Decoding,
        stop_ids: list[int],
        stop: str | None,
        copies: int = 1,
    ) -> list[list[Response]]:
        """As `Sampler` says."""
        if not requests:
            return []
        model.eval()
        prompt_R = [place for place, request in enumerate(requests) for _ in range(request.responses)]
        rows = Rows([request.prompt for request in requests], prompt_R, self.batch, copies)
        keys = [draws.key(request.key, g) for request in requests for g in range(request.responses)]
        decoded = decode(model, rows, draws.keys_tensor(keys, model.device), decoding, ends([model], stop_ids))
        tokens, log_probs = _cut(decoded.tokens_RT, decoded.lengths_R), _cut(decoded.log_probs_RT, decoded.lengths_R)
        texts, stopped = texts_of(tokens, tokenizer, stop), decoded.stopped_R.tolist()
        responses = map(Response, tokens, log_probs, stopped, texts)
        return [[next(responses) for _ in range(request.responses)] for request in requests]


def shared_responses(
    sampler: Sampler,
    model: PreTrainedModel | Pooled,
    tokenizer: Tokenizer,
    requests: Sequence[Request],
    decoding: Decoding,
    stops: tuple[list[int], str | None],
) -> list[list[Response]]:
    """The responses to each request, of which each process writes its share. `stops`: as `respond` takes them."""
    return ranks.spread(requests, lambda mine: sampler.respond(model, tokenizer, mine, decoding, *stops))


def _cut(values_RT: Tensor, lengths_R: Tensor) -> list[list[Any]]:
    """Each row up to its length."""
    return [row_T[:length].tolist() for row_T, length in zip(values_RT.cpu(), lengths_R.tolist(), strict=True)]


def sampler_of(config: run.Sampler) -> Sampler:
    """The sampler that a config asks for, one for all parts of a stage: an engine takes its share of the GPU once.

    Raises: ValueError where its package is not installed.
    """
    return _made(config)  # type: ignore[arg-type]  # pydantic gives what is frozen a hash.


@cache
def _made(config: run.Sampler) -> Sampler:
    if isinstance(config, run.VllmSampling):
        from thicket.sampling.vllm import VllmSampler

        return VllmSampler(config)
    return TorchSampler(config.batch)
