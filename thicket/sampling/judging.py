"""A verdict that a language model gives: the text of an answer, a question about it, and the number in the reply."""

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from transformers import PreTrainedModel

from thicket.config.verifier import JudgeModel
from thicket.domains.item import Item
from thicket.domains.registry import Answered, Judge
from thicket.domains.verdict import Verdict
from thicket.models.flops import FORWARD
from thicket.models.folder import load_model, load_tokenizer
from thicket.models.pooled import Pooled, voices
from thicket.models.size import active_parameters
from thicket.sampling.decode import Decoding
from thicket.sampling.environment import Environment
from thicket.sampling.prompts import Tokenizer, encode_prompt, stop_ids
from thicket.sampling.rollouts import Request
from thicket.sampling.sampler import Sampler, TorchSampler

_SCORE = re.compile(r"[0-9]+(?:\.[0-9]+)?")
"""The first number: `8/10` is a score of 8."""


def judges_itself(environment: Environment) -> bool:
    """Whether the verdict is asked of the model that answers."""
    config = getattr(environment.domain.verifier, "judge", None)
    return config is not None and config.folder is None


def with_judge(
    environment: Environment, model: PreTrainedModel | Pooled, tokenizer: Tokenizer, sampler: Sampler
) -> Environment:
    """The environment, with a model's verdict on what passes its checks, where its verifier wants one.

    `model` is the one that answers; it judges itself, as it is at that moment, where the config names no other.
    """
    config = getattr(environment.domain.verifier, "judge", None)
    if config is None:
        return environment
    return replace(environment, judge=ModelJudge(environment.judge, config, model, tokenizer, sampler))


@cache
def _judge_of(folder: Path) -> tuple[PreTrainedModel, Tokenizer]:
    """One copy for all domains and splits of a process."""
    return load_model(folder).requires_grad_(False), load_tokenizer(folder)


class ModelJudge:
    """Checks first; what passes them is put to the model, which answers greedily."""

    def __init__(
        self,
        checks: Judge,
        config: JudgeModel,
        policy: PreTrainedModel | Pooled,
        tokenizer: Tokenizer,
        sampler: Sampler,
    ):
        self.checks, self.config, self.sampler = checks, config, sampler
        self.model, self.tokenizer = policy, tokenizer
        if config.folder is not None:
            self.model, self.tokenizer = _judge_of(Path(config.folder))
            self.sampler = TorchSampler(sampler.batch)  # An engine is the policy's.
        self._policy = policy

    def __call__(self, answered: Sequence[Answered]) -> list[Verdict]:
        verdicts = [replace(verdict, grade=None) for verdict in self.checks(answered)]
        passed = [place for place, verdict in enumerate(verdicts) if verdict.correct]
        for place, reply in zip(passed, self._replies([answered[place] for place in passed]), strict=True):
            verdicts[place] = self._verdict(*reply)
        return verdicts

    def _verdict(self, reply: str, tokens: int) -> Verdict:
        flops = FORWARD * sum(active_parameters(one) for one, _ in voices(self.model)) * tokens
        found = _SCORE.search(reply)
        if found is None:
            return Verdict(False, "the judge gave no score", flops)
        accepted = float(found[0]) >= self.config.accepted
        return Verdict(accepted, "" if accepted else f"judged {found[0]}", flops)

    def _replies(self, answered: Sequence[Answered]) -> list[tuple[str, int]]:
        """Each with the tokens that it took, read and generated."""
        if self.model is not self._policy:
            self.model.to(self._policy.device)  # type: ignore[arg-type]
        prompts = [self._encoded(item, response) for response, item in answered]
        requests = [Request(prompt, key=0) for prompt in prompts]
        decoding, ends = Decoding(0.0, most=self.config.tokens), stop_ids(self.tokenizer, None)
        groups = self.sampler.respond(self.model, self.tokenizer, requests, decoding, ends, None)
        return [
            (response.text, len(prompt) + len(response.tokens))
            for prompt, (response,) in zip(prompts, groups, strict=True)
        ]

    def _encoded(self, item: Item, response: str) -> list[int]:
        """Token ids of the question about a response: a chat where the judge's tokenizer knows one."""
        asked = item.prompt if isinstance(item.prompt, str) else item.prompt[-1]["content"]
        parts = {"question": asked, "response": response}
        # In one pass: a text may hold the word {response} itself.
        text = re.sub(r"\{(question|response)\}", lambda match: parts[match[1]], self.config.template)
        chat = getattr(self.tokenizer, "chat_template", None)
        return encode_prompt(
            self.tokenizer, replace(item, prompt=[{"role": "user", "content": text}] if chat else text)
        )
