"""The samples of a frozen start that rejection sampling and self-distillation train on.

They are written in pieces as they come, so that a run that is broken off keeps them. A sample's draws depend on its
item and member alone: which pieces there were changes nothing.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from thicket import ranks
from thicket.config.answering import Perturbation
from thicket.config.imitation import OwnSamples
from thicket.config.run import Trainer
from thicket.domains.verdict import Verdict
from thicket.methods.texts import Sample
from thicket.models.perturb import Direction, Neighbourhood
from thicket.models.size import active_parameters
from thicket.ops import draws
from thicket.progress import Teller
from thicket.sampling.decode import Decoding
from thicket.sampling.environment import Environment
from thicket.sampling.piecewise import work_through
from thicket.sampling.prompts import Tokenizer
from thicket.sampling.rollouts import Request, Response
from thicket.sampling.sampler import Sampler
from thicket.training.ledger import Ledger
from thicket.training.records import Record, read_records, write_records

SAMPLES = 4
"""Stream of draws, apart from those of the order of texts and of the selection items."""


class Sampling:
    """Samples train prompts. A piece of the work is (member, places of items)."""

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: Tokenizer,
        environment: Environment,
        members: Sequence[Perturbation],
        config: OwnSamples,
        judged: bool,
        seed: int,
        sampler: Sampler,
        folder: Path,
        saved: Callable[[], None] = lambda: None,
    ):
        """`members` are perturbations of the model that answer in its place; `folder` keeps what is written; `saved` is
        called after each piece.

        Raises: ValueError where those in the folder cost the budget.
        """
        self.model, self.tokenizer, self.environment, self.members = model, tokenizer, environment, members
        self.config, self.judged, self.seed = config, judged, seed
        self.sampler, self.folder, self.saved = sampler, folder, saved
        voices = max(1, len(members))
        assert config.temperature > 0 or config.samples <= voices, "greedy samples of one model are equal"
        self.lengths = {item.id: len(ids) for item, ids in zip(environment.items, environment.prompts, strict=True)}
        self.asked = asked(len(environment.items[: config.prompts]), config.samples, voices)
        self.ledger = Ledger(parameters=active_parameters(model))
        self.records: dict[tuple[str, int], Record] = {}
        self.sampled = self.correct = 0
        known = {(environment.items[place].id, member) for member, place in self.asked}
        self._take([record for record in read_records(folder) if (record.item, record.member) in known])

    @property
    def share_done(self) -> float:
        """Share of the prompts that are answered."""
        return len(self.records) / len(self.asked)

    @property
    def seconds(self) -> float:
        """Time spent on sampling, over all the runs that it took."""
        return sum(record.seconds for record in self.records.values())

    @property
    def drawn(self) -> list[list[Sample]]:
        """The samples of each prompt, the members in the order of their rank."""
        by_item: dict[str, list[Sample]] = {item.id: [] for item in self.environment.items[: self.config.prompts]}
        for _, record in sorted(self.records.items(), key=lambda entry: entry[0][1]):
            by_item[record.item] += record.samples
        return list(by_item.values())

    def figures(self) -> str:
        """How many samples there are, and how many of them are correct."""
        share = f"  correct {self.correct / self.sampled:.3f}" if self.judged and self.sampled else ""
        return f"sampling: {self.sampled} samples{share}"

    def pieces(self) -> list[tuple[int, list[int]]]:
        """What is still to be sampled: runs of prompts for one member, at most the sampler's batch of responses."""
        items = self.environment.items
        missing: dict[int, list[int]] = {}
        for member, place in self.asked:
            if (items[place].id, member) not in self.records:
                missing.setdefault(member, []).append(place)
        size = max(1, self.sampler.batch // max(self.asked.values()))
        return [
            (member, places[first : first + size])
            for member, places in sorted(missing.items())
            for first in range(0, len(places), size)
        ]

    @cached_property
    def neighbourhood(self) -> Neighbourhood | None:
        """Made with the first piece of the work: its copy of the weights lies where the model does by then."""
        return Neighbourhood(self.model) if self.members else None

    def work(self, piece: tuple[int, list[int]]) -> list[Record]:
        started = time.monotonic()
        member, places = piece
        groups = self._answer(member, places)
        seconds = (time.monotonic() - started) / len(places)
        items = self.environment.items
        return [Record(items[place].id, member, group, seconds) for place, group in zip(places, groups, strict=True)]

    def take(self, piece: tuple[int, list[int]], made: list[Record]) -> None:
        if ranks.first():
            write_records(self.folder, made)
        self.saved()
        self._take(made)

    def _answer(self, member: int, places: list[int]) -> list[list[Sample]]:
        environment, config, domain = self.environment, self.config, self.environment.domain
        requests = [
            Request(
                environment.prompts[place],
                draws.key(self.seed, SAMPLES, member, int(environment.items[place].id, 16)),
                self.asked[member, place],
            )
            for place in places
        ]
        decoding = Decoding(config.temperature, config.top_k, config.top_p, most=domain.window.response)
        with self._as(member):
            stops = environment.stop_ids
            groups = self.sampler.respond(self.model, self.tokenizer, requests, decoding, stops, domain.stop)
        if not self.judged:
            return [[Sample(response.tokens, response.text) for response in group] for group in groups]
        answered = [
            (response.text, environment.items[place])
            for place, group in zip(places, groups, strict=True)
            for response in group
        ]
        verdicts = iter(environment.judge(answered))
        return [[_judged(one, next(verdicts)) for one in group] for group in groups]

    def _as(self, member: int) -> Any:
        """The model as a member of the ensemble, where there is one."""
        if self.neighbourhood is None:
            return nullcontext()
        chosen = self.members[member]
        return self.neighbourhood.at(Direction(chosen.seed, chosen.sigma))

    def _take(self, records: list[Record]) -> None:
        """Counts records in. Raises: ValueError where they leave nothing of the budget."""
        for record in records:
            self.records[record.item, record.member] = record
            self.ledger.forward(self.lengths[record.item])
            self.ledger.generated(sum(len(sample.tokens) for sample in record.samples))
            self.ledger.flops += sum(sample.judging for sample in record.samples)
            self.sampled += len(record.samples)
            self.correct += sum(bool(sample.correct) for sample in record.samples)
        if self.config.flops is not None and self.ledger.flops >= self.config.flops:
            raise ValueError(
                f"method.flops = {self.config.flops:.3g} is spent before anything is trained: {self.figures()}; "
                "`method.prompts` says how many prompts are sampled"
            )


def _judged(response: Response, verdict: Verdict) -> Sample:
    return Sample(response.tokens, response.text, verdict.correct, verdict.flops)


def asked(prompts: int, samples: int, members: int) -> dict[tuple[int, int], int]:
    """(member, prompt) → samples: those of a prompt are dealt to the members, and go on from one prompt to the next."""
    dealt: dict[tuple[int, int], int] = {}
    for turn in range(prompts * samples):
        share = turn % members, turn // samples
        dealt[share] = dealt.get(share, 0) + 1
    return dealt


def sample(module: Sampling, config: Trainer, tell: Teller) -> None:
    """Samples what the folder does not hold yet. Raises: Interrupted where SIGTERM came first; KeyboardInterrupt."""
    if module.pieces():
        work_through(module, config, tell)
        module.__dict__.pop("neighbourhood", None)  # a copy of the weights, which training has no use for
