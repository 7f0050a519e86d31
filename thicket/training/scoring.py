"""The score of a model in a search: the mean reward of its greedy responses to some items."""

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedModel

from thicket.config.domain import TrainedDomain
from thicket.sampling.decode import Decoding
from thicket.sampling.environment import Environment
from thicket.sampling.prompts import Tokenizer
from thicket.sampling.rollouts import Request, Response
from thicket.sampling.sampler import TorchSampler
from thicket.training.loop import chunks
from thicket.training.rewards import reward


@dataclass(frozen=True)
class Scored:
    """What a model came to."""

    reward: float
    """Mean over the items."""
    generated: int
    """Tokens of all responses."""
    judging: float
    """FLOPs that the verdicts took."""


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
        requests = [Request(prompt, key=0) for prompt in self.asked.prompts] * copies  # Greedy decoding draws nothing.
        decoding = Decoding(0.0, most=self.domain.window.response)
        ids, stop = self.asked.stop_ids, self.domain.stop
        groups = TorchSampler(self.batch).respond(model, self.tokenizer, requests, decoding, ids, stop, copies)
        responses = [response for (response,) in groups]
        return [self._scored(responses[mine]) for mine in chunks(len(responses), len(self.asked.prompts))]

    def _scored(self, responses: Sequence[Response]) -> Scored:
        answered = [(response.text, item) for response, item in zip(responses, self.asked.items, strict=True)]
        lengths = [len(response.tokens) for response in responses]
        verdicts = self.asked.judge(answered)
        rewards = [reward(v.earned, length, self.domain) for v, length in zip(verdicts, lengths, strict=True)]
        return Scored(sum(rewards) / len(rewards), sum(lengths), sum(v.flops for v in verdicts))
