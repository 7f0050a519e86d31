"""The score of a model in a search: the mean reward of its greedy responses to some items."""

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedModel

from thicket.config.domain import TrainedDomain
from thicket.domains.verdict import Verdict
from thicket.sampling.decode import Decoding
from thicket.sampling.environment import Environment
from thicket.sampling.prompts import Tokenizer
from thicket.sampling.rollouts import Request, Response, respond
from thicket.training.loop import chunks
from thicket.training.rewards import reward


@dataclass(frozen=True)
class Scored:
    """What a model came to."""

    reward: float
    """Mean over the items."""
    generated: int
    """Tokens of all responses."""
    verdicts: Sequence[Verdict]
    """On the responses, in the order of the items."""


@dataclass(frozen=True)
class Scorer:
    """Items, and what a response to them earns."""

    tokenizer: Tokenizer
    domain: TrainedDomain
    asked: Environment
    batch: int
    """Responses that are decoded at once."""

    def score(self, model: PreTrainedModel, copies: int = 1) -> list[Scored]:
        """The score of each of the `copies` neighbours that the model is (`thicket.models.stacked`); 1: of itself."""
        responses: list[list[Response]] = [[] for _ in range(copies)]
        for part in chunks(len(self.asked.prompts), max(1, self.batch // copies)):
            for given, more in zip(responses, self._respond(model, part, copies), strict=True):
                given += more
        return list(map(self._scored, responses))

    def _respond(self, model: PreTrainedModel, part: slice, copies: int) -> list[list[Response]]:
        """For each neighbour, its responses to some of the items."""
        prompts, stop, ids = self.asked.prompts[part], self.domain.stop, self.asked.stop_ids
        # The key is that of draws, which greedy decoding does not make.
        requests = [Request(prompt, key=0) for prompt in prompts] * copies
        decoding = Decoding(0.0, most=self.domain.window.response)
        responses = [
            response for (response,) in respond(model, self.tokenizer, requests, decoding, ids, stop, len(requests))
        ]
        return [responses[mine] for mine in chunks(len(requests), len(prompts))]

    def _scored(self, responses: Sequence[Response]) -> Scored:
        answered = [(response.text, item) for response, item in zip(responses, self.asked.items, strict=True)]
        lengths = [len(response.tokens) for response in responses]
        verdicts = self.asked.judge(answered)
        rewards = [reward(v.correct, length, self.domain) for v, length in zip(verdicts, lengths, strict=True)]
        return Scored(sum(rewards) / len(rewards), sum(lengths), verdicts)
