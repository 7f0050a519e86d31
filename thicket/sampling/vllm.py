"""Responses that vLLM writes: an engine of its own beside the model, which is given the model's weights.

What is relied on, as of vLLM 0.30: tokens go in and come out (it is given no tokenizer), so that a stop token is the
last of a response's tokens; response g of a prompt draws from the prompt's seed + g, whatever else is written; and with
`logprobs_mode="processed_logprobs"` a token's log-probability is that after temperature and truncation, of the
distribution that it was drawn from. Legend: G responses to a prompt.
"""

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch
from transformers import PreTrainedModel

from thicket.config.run import VllmSampling
from thicket.models.pooled import Pooled
from thicket.ops import draws
from thicket.sampling.decode import Decoding, ends
from thicket.sampling.prompts import Tokenizer, texts_of
from thicket.sampling.rollouts import Request, Response
from thicket.sampling.vllm_engine import Engine

PACKAGE = "vllm"
COOLEST, HOTTEST = 0.01, 2.0
"""Temperatures that vLLM takes beside 0; cooler ones it would raise without a word."""
SEED_BITS = 62
"""Of a seed, which is a signed word of 64 bits; G are counted up from it."""

Written = tuple[list[int], list[float], bool]
"""Tokens, their log-probabilities, and whether a stop token ended them."""


class VllmSampler:
    """Responses of models of one architecture."""

    def __init__(self, config: VllmSampling):
        """Raises: ValueError where vLLM is not installed."""
        if find_spec(PACKAGE) is None:
            wrong = f"the package {PACKAGE} can't be found"
            raise ValueError(f"sampler vllm: {wrong}; `pip install -e '.[vllm]'` installs it")
        self.batch, self._engine = config.batch, Engine(config)

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
        """As `Sampler` says, by draws of vLLM's own.

        Raises: ValueError where vLLM can't write for such a model, or at such a temperature; where the engine does not
        start, or has no room for the longest response.
        """
        if not requests:
            return []
        if isinstance(model, Pooled) or copies > 1:
            raise ValueError("sampler vllm: it writes for one model at a time; `sampler: torch` writes for several")
        if decoding.temperature and not COOLEST <= decoding.temperature <= HOTTEST:
            allowed = f"allowed: 0, or from {COOLEST} to {HOTTEST}"
            raise ValueError(f"sampler vllm: temperature {decoding.temperature}; {allowed}")
        stops = ends([model], stop_ids)
        prompts = [{"prompt_token_ids": request.prompt} for request in requests]
        params = [_sampling(request, decoding, stops) for request in requests]
        # The engine has a precision of its own, whatever training's is.
        with torch.autocast(model.device.type, enabled=False):
            outputs = self._engine.of(model).generate(prompts, params, use_tqdm=False)
        groups = [
            _group([_written(one, decoding, stops) for one in output.outputs], request)
            for output, request in zip(outputs, requests, strict=True)
        ]
        texts = iter(texts_of([tokens for group in groups for tokens, _, _ in group], tokenizer, stop))
        return [[Response(*written, next(texts)) for written in group] for group in groups]


def _sampling(request: Request, decoding: Decoding, stops: list[int]) -> Any:
    """vLLM's settings for a request. It ends where we say, and nowhere else."""
    greedy = decoding.temperature == 0
    return import_module(PACKAGE).SamplingParams(
        n=1 if greedy else request.responses,
        temperature=decoding.temperature,
        top_k=decoding.top_k,
        top_p=decoding.top_p,
        max_tokens=decoding.most,
        stop_token_ids=stops,
        ignore_eos=True,
        seed=seed_of(request),
        logprobs=None if greedy else 0,
        detokenize=False,
    )


def seed_of(request: Request) -> int:
    """The seed of a request's first response."""
    return draws.key(request.key) >> (64 - SEED_BITS)


def _written(output: Any, decoding: Decoding, stops: list[int]) -> Written:
    """A response as we have it: what is drawn without chance has the log-probability 0.

    Raises: ValueError where it broke off.
    """
    tokens = list(output.token_ids)
    stopped = tokens[-1] in stops
    if not stopped and len(tokens) < decoding.most:
        wrong = f"a response broke off after {len(tokens)} of {decoding.most} tokens ({output.finish_reason})"
        raise ValueError(f"sampler vllm: {wrong}: the model's context, or `sampler.gpu_memory`, has no room for more")
    if output.logprobs is None:
        return tokens, [0.0] * len(tokens), stopped
    log_probs = [of_position[token].logprob for token, of_position in zip(tokens, output.logprobs, strict=True)]
    return tokens, log_probs, stopped


def _group(written: list[Written], request: Request) -> list[Written]:
    """G responses; greedy ones are equal, and written once."""
    return written if len(written) == request.responses else written * request.responses
