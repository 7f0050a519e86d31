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
from thicket.sampling.decode import Decoded, Decoding, Rows, decode, ends
from thicket.sampling.prompts import Tokenizer, texts_of
from thicket.sampling.rollout_log import RolloutLog, name_of
from thicket.sampling.rollouts import Part, Request, Response


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
    log: RolloutLog | None = None
    """Where responses are logged while they are drawn, and go on from."""

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
        stops = ends([model], stop_ids)
        asked = [
            (place, draws.key(request.key, g))
            for place, request in enumerate(requests)
            for g in range(request.responses)
        ]
        # The copies that a model is for a while can't be told from it by its own weights.
        log = self.log if copies == 1 else None
        name = name_of("torch", model, requests, decoding, stops) if log else b""
        known = log.known(name) if log else {}
        written = {row: part for row, part in known.items() if part.stopped or len(part.tokens) == decoding.most}
        left = [row for row in range(len(asked)) if row not in written]
        if left:
            rows = Rows(
                prompts=[request.prompt for request in requests],
                prompt_R=[asked[row][0] for row in left],
                slots=self.batch,
                lanes=copies,
                begun={place: known[row] for place, row in enumerate(left) if row in known},
                tell=log and (lambda parts: log.add(name, parts, left)),
            )
            keys_R = draws.keys_tensor([asked[row][1] for row in left], model.device)
            written |= dict(zip(left, parts_of(decode(model, rows, keys_R, decoding, stops)), strict=True))
        return responses([written[row] for row in range(len(asked))], requests, tokenizer, stop)


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


@dataclass(frozen=True)
class InWholeCalls:
    """A sampler of which nothing is known before it is done: its calls are logged as a whole."""

    sampler: Sampler
    log: RolloutLog

    @property
    def batch(self) -> int:
        return self.sampler.batch

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
        name = name_of(type(self.sampler).__name__, model, requests, decoding, stop_ids)
        known = self.log.known(name)
        if known:
            return responses([known[row] for row in range(len(known))], requests, tokenizer, stop)
        groups = self.sampler.respond(model, tokenizer, requests, decoding, stop_ids, stop, copies)
        drawn = [response for group in groups for response in group]
        self.log.add(name, [Part(row, 0, one.tokens, one.log_probs, one.stopped) for row, one in enumerate(drawn)])
        return groups


def parts_of(decoded: Decoded) -> list[Part]:
    """The responses, each up to its length."""
    lengths, stopped = decoded.lengths_R.tolist(), decoded.stopped_R.tolist()
    tokens, log_probs = _cut(decoded.tokens_RT, lengths), _cut(decoded.log_probs_RT, lengths)
    return [Part(row, 0, *one) for row, one in enumerate(zip(tokens, log_probs, stopped, strict=True))]


def _cut(values_RT: Tensor, lengths: list[int]) -> list[list[Any]]:
    """Each row up to its length."""
    return [row_T[:length].tolist() for row_T, length in zip(values_RT.cpu(), lengths, strict=True)]


def responses(
    written: Sequence[Part], requests: Sequence[Request], tokenizer: Tokenizer, stop: str | None
) -> list[list[Response]]:
    """Those to each request, with their texts."""
    texts = texts_of([one.tokens for one in written], tokenizer, stop)
    made = (Response(one.tokens, one.log_probs, one.stopped, text) for one, text in zip(written, texts, strict=True))
    return [[next(made) for _ in range(request.responses)] for request in requests]


def sampler_of(config: run.Sampler, log: RolloutLog | None = None) -> Sampler:
    """The sampler that a config asks for, whose responses are logged where there is a log.

    Raises: ValueError where its package is not installed.
    """
    if isinstance(config, run.TorchSampling):
        return TorchSampler(config.batch, log)
    return InWholeCalls(_engine(config), log) if log else _engine(config)  # type: ignore[arg-type]


@cache
def _engine(config: run.VllmSampling) -> Sampler:
    """One for all parts of a process: it takes its share of the GPU once. pydantic gives what is frozen a hash."""
    from thicket.sampling.vllm import VllmSampler

    return VllmSampler(config)
