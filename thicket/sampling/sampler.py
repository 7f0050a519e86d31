"""What turns prompts into responses: one interface, thicket's own decode loop behind it, and the choice by config."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Protocol

from transformers import PreTrainedModel

from thicket.config import run
from thicket.models.pooled import Pooled
from thicket.sampling.decode import Decoding
from thicket.sampling.prompts import Tokenizer
from thicket.sampling.rollouts import Request, Response, respond


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
        """The responses to each request, as `thicket.sampling.rollouts.respond` says."""
        ...


@dataclass(frozen=True)
class TorchSampler:
    """Thicket's own decode loop."""

    batch: int

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
        return respond(model, tokenizer, requests, decoding, stop_ids, stop, self.batch, copies)


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
