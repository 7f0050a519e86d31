"""A stand-in for the package vllm, with what thicket relies on of it: engines that hold weights of their own.

Its `LLM` makes a model of the config that it is given a folder of, with random weights ("dummy"), takes others under
the names of a checkpoint, and writes with thicket's own decode loop.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from thicket.models.characters import character_tokenizer
from thicket.sampling.decode import Decoding
from thicket.sampling.rollouts import Request, Response
from thicket.sampling.sampler import TorchSampler, _engine

TOKENIZER: Any = character_tokenizer()


class FakeLLM:
    """An engine: what it was started with, and the calls that it has had."""

    def __init__(self, engines: "Engines", model: str, **options: Any):
        self.engines, self.options = engines, options
        self.config = AutoConfig.from_pretrained(model)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            self.model: Any = AutoModelForCausalLM.from_config(self.config)
        self.model.generation_config.eos_token_id = None  # It ends where its parameters say.
        self.synced, self.resets = 0, 0
        self.generated: list[tuple[list[dict[str, list[int]]], list[dict[str, Any]]]] = []

    def collective_rpc(self, method: str, kwargs: dict[str, Any]) -> None:
        assert method == "reload_weights"
        state = {name: tensor.clone() for name, tensor in kwargs["weights_iterator"]}
        self.model, found = type(self.model).from_pretrained(
            None, config=self.config, state_dict=state, output_loading_info=True
        )
        assert not any(found[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
        self.model.generation_config.eos_token_id = None
        self.synced += 1

    def reset_prefix_cache(self) -> bool:
        self.resets += 1
        return True

    def generate(
        self, prompts: list[dict[str, list[int]]], params: list[dict[str, Any]], use_tqdm: bool
    ) -> list[SimpleNamespace]:
        assert not use_tqdm
        self.generated.append((prompts, params))
        if self.engines.scripted:
            return [SimpleNamespace(outputs=self.engines.scripted.pop(0)) for _ in prompts]
        return [self._answer(one["prompt_token_ids"], given) for one, given in zip(prompts, params, strict=True)]

    def _answer(self, prompt: list[int], given: dict[str, Any]) -> SimpleNamespace:
        decoding = Decoding(given["temperature"], given["top_k"], given["top_p"], given["max_tokens"])
        request = Request(prompt, given["seed"], given["n"])
        (group,) = TorchSampler(given["n"]).respond(
            self.model, TOKENIZER, [request], decoding, given["stop_token_ids"], None
        )
        wanted = given["logprobs"] is not None
        return SimpleNamespace(outputs=[_output(response, wanted) for response in group])


@dataclass
class Engines:
    """The engines of a test, and the outputs that they give in the place of what they would write, a list a prompt."""

    started: "list[FakeLLM]" = field(default_factory=list)
    scripted: list[list[SimpleNamespace]] = field(default_factory=list)

    def start(self, **options: Any) -> FakeLLM:
        """In the place of the class `LLM`."""
        self.started.append(FakeLLM(self, **options))
        return self.started[-1]

    @property
    def only(self) -> FakeLLM:
        (engine,) = self.started
        return engine


def output(
    tokens: Sequence[int], log_probs: Sequence[float] | None = None, finish_reason: str = "stop"
) -> SimpleNamespace:
    """A completion as vLLM gives it; its dictionaries may name likelier tokens beside the drawn one."""
    named = None
    if log_probs is not None:
        named = [
            {-1: SimpleNamespace(logprob=0.0), token: SimpleNamespace(logprob=value)}
            for token, value in zip(tokens, log_probs, strict=True)
        ]
    return SimpleNamespace(token_ids=tuple(tokens), logprobs=named, finish_reason=finish_reason)


def _output(response: Response, wanted: bool) -> SimpleNamespace:
    log_probs = response.log_probs if wanted else None
    return output(response.tokens, log_probs, "stop" if response.stopped else "length")


@contextmanager
def installed() -> Iterator[Engines]:
    """A process in which `import vllm` finds the stand-in."""
    engines, module = Engines(), ModuleType("vllm")
    module.__spec__ = ModuleSpec("vllm", None)
    module.LLM, module.SamplingParams = engines.start, dict  # type: ignore[attr-defined]
    before = sys.modules.get("vllm")
    sys.modules["vllm"] = module
    _engine.cache_clear()
    try:
        yield engines
    finally:
        _engine.cache_clear()
        del sys.modules["vllm"]
        if before is not None:
            sys.modules["vllm"] = before
