"""Who is asked what: a batch's prompts are dealt to domains, and a model answers each of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from transformers import PreTrainedModel

from thicket.config.domain import TrainedDomain
from thicket.sampling.decode import Decoding
from thicket.sampling.environment import Environment
from thicket.sampling.prompts import Tokenizer
from thicket.sampling.rollouts import Request, Response
from thicket.sampling.sampler import Sampler, shared_responses


@dataclass(frozen=True)
class Arena:
    """A domain to train on."""

    domain: TrainedDomain
    train: Environment
    selection: Environment


@dataclass(frozen=True)
class Rules:
    """When a response ends."""

    most: int
    """Its tokens."""
    stop_ids: tuple[int, ...]
    stop: str | None


@dataclass(frozen=True)
class Asked:
    """A prompt of a batch."""

    arena: Arena
    item: int
    """Its place among the arena's train items."""
    request: Request
    writer: str | None
    """The model that answers in the policy's place; None: the policy itself."""

    @property
    def rules(self) -> Rules:
        domain = self.arena.domain
        return Rules(domain.window.response, tuple(self.arena.train.stop_ids), domain.stop)


def in_turn(prompts: int, before: Sequence[int]) -> list[range]:
    """Places of the next prompts among all that each arena gets, which are dealt to the arenas in turn.

    `before`: prompts that each arena has had.
    """
    first, arenas = sum(before), len(before)
    shares = [len([n for n in range(first, first + prompts) if n % arenas == index]) for index in range(arenas)]
    return [range(had, had + share) for had, share in zip(before, shares, strict=True)]


def in_sequence(prompts: int, before: Sequence[int], share_done: float) -> list[range]:
    """The same where the arenas come one after the other, each for an equal share of the run."""
    current = min(int(share_done * len(before)), len(before) - 1)
    return [range(had, had + prompts * (index == current)) for index, had in enumerate(before)]


def answered(
    asked: Sequence[Asked],
    model_of: Callable[[str | None], PreTrainedModel],
    tokenizer: Tokenizer,
    settings: tuple[float, int, float],
    sampler: Sampler,
) -> list[list[Response]]:
    """Responses to each prompt. What one model answers under one set of rules is decoded together, by each process its
    share.

    `settings`: temperature, top-k and top-p of the draws.
    """
    groups: dict[int, list[Response]] = {}
    for writer, rules in dict.fromkeys((one.writer, one.rules) for one in asked):
        places = [place for place, one in enumerate(asked) if (one.writer, one.rules) == (writer, rules)]
        requests = [asked[place].request for place in places]
        decoding, stops = Decoding(*settings, most=rules.most), (list(rules.stop_ids), rules.stop)
        made = shared_responses(sampler, model_of(writer), tokenizer, requests, decoding, stops)
        groups |= dict(zip(places, made, strict=True))
    return [groups[place] for place in range(len(asked))]
