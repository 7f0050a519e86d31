"""Scores a model on domains."""

from functools import cached_property

from transformers import PreTrainedModel

from thicket.config.run import Trainer
from thicket.evaluation.scores import Groups, ItemScore, sampled_scores, vote_scores
from thicket.evaluation.way import Way
from thicket.models.perturb import Direction, Neighbourhood
from thicket.models.pooled import Pooled
from thicket.ops import draws
from thicket.progress import Teller
from thicket.sampling.decode import Decoding
from thicket.sampling.environment import Environment
from thicket.sampling.judging import with_judge
from thicket.sampling.piecewise import work_through
from thicket.sampling.prompts import Tokenizer
from thicket.sampling.rollouts import Request, Response
from thicket.sampling.sampler import Sampler


class Evaluator:
    """Scores items. A piece of the work is (place of the environment, first item, one past the last)."""

    def __init__(
        self,
        model: PreTrainedModel | Pooled,
        tokenizer: Tokenizer,
        environments: list[Environment],
        way: Way,
        samples: int,
        greedy: bool,
        seed: int,
        sampler: Sampler,
    ):
        """`samples`: answers to an item, where none is voted on; `greedy`: the greedy response is scored beside."""
        self.model, self.tokenizer, self.way = model, tokenizer, way
        self.environments = [with_judge(asked, model, tokenizer, sampler) for asked in environments]
        # Greedy responses are all the same.
        self.samples = 1 if way.decoding.temperature == 0 else samples
        self.greedy, self.seed, self.sampler = greedy, seed, sampler
        self.scores: dict[str, list[ItemScore]] = {environment.domain.name: [] for environment in environments}

    @property
    def share_done(self) -> float:
        """Share of the items that are scored."""
        items = sum(len(environment.items) for environment in self.environments)
        return sum(map(len, self.scores.values())) / items

    def figures(self) -> str:
        """Pass@1 so far, of each domain that has begun."""
        begun = {name: rows for name, rows in self.scores.items() if rows}
        shares = {name: sum(row.correct / row.samples for row in rows) / len(rows) for name, rows in begun.items()}
        return "  ".join(f"{name} {share:.3f}" for name, share in shares.items())

    @cached_property
    def neighbourhood(self) -> Neighbourhood | None:
        """Made with the first piece of the work: its copy of the weights lies where the model does by then."""
        return Neighbourhood(self.model) if self.way.members else None

    def pieces(self) -> list[tuple[int, int, int]]:
        together = 1 if self.way.members else self.way.votes if self.way.is_vote else self.samples
        size = max(1, self.sampler.batch // together)
        return [
            (place, first, min(first + size, len(environment.items)))
            for place, environment in enumerate(self.environments)
            for first in range(0, len(environment.items), size)
        ]

    def work(self, piece: tuple[int, int, int]) -> list[ItemScore]:
        environment, places = self.environments[piece[0]], range(piece[1], piece[2])
        if self.way.is_vote:
            voters = self._voters(environment, places)
            return vote_scores(environment, places, voters, readings=max(1, len(self.way.members)))
        sampled = self._responses(environment, places, self.way.decoding, self.samples)
        return sampled_scores(environment, places, sampled, self._greedy(environment, places, sampled))

    def take(self, piece: tuple[int, int, int], made: list[ItemScore]) -> None:
        self.scores[self.environments[piece[0]].domain.name] += made

    def _greedy(self, environment: Environment, places: range, sampled: Groups) -> Groups | None:
        """The greedy responses, where they are scored; what is sampled at temperature 0 is greedy already."""
        if not self.greedy or self.way.decoding.temperature == 0:
            return sampled if self.greedy else None
        return self._responses(environment, places, Decoding(0.0), 1)

    def _voters(self, environment: Environment, places: range) -> list[list[Response]]:
        """The responses that vote on each item: of the members by rank, or samples."""
        if self.neighbourhood is None:
            return self._responses(environment, places, self.way.decoding, self.way.votes)
        ranked = []
        for member in self.way.members:
            with self.neighbourhood.at(Direction(member.seed, member.sigma)):
                ranked.append(self._responses(environment, places, self.way.decoding, 1))
        return [[response for (response,) in of_item] for of_item in zip(*ranked, strict=True)]

    def _responses(
        self, environment: Environment, places: range, decoding: Decoding, count: int
    ) -> list[list[Response]]:
        # An item's draws depend on the item alone, so that models are compared with common random numbers.
        requests = [
            Request(environment.prompts[place], draws.key(self.seed, int(environment.items[place].id, 16)), count)
            for place in places
        ]
        window = environment.domain.window.response
        decoding = Decoding(decoding.temperature, decoding.top_k, decoding.top_p, window)
        stop_ids, stop = environment.stop_ids, environment.domain.stop
        return self.sampler.respond(self.model, self.tokenizer, requests, decoding, stop_ids, stop)


def score(module: Evaluator, trainer: Trainer, title: str) -> dict[str, list[ItemScore]]:
    """The scores of every item of the module's environments. Raises: Interrupted; KeyboardInterrupt."""
    work_through(module, trainer, Teller(title))
    return module.scores
