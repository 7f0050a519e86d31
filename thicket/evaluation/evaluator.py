"""Scores a model on domains, as a Lightning module that predicts."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from torch.utils.data import DataLoader
from transformers import PreTrainedModel

from thicket.config.run import Evaluation
from thicket.config.stages import EvaluateStage
from thicket.engine import make_trainer
from thicket.models.folder import load_model
from thicket.ops import draws
from thicket.progress import Progress
from thicket.sampling.decode import Decoding
from thicket.sampling.environment import Environment
from thicket.sampling.prompts import Tokenizer
from thicket.sampling.rollouts import Request, Response, respond


@dataclass(frozen=True)
class ItemScore:
    """What a model made of one item."""

    item: str
    """The item's id."""
    level: int
    samples: int
    """Sampled responses, n."""
    correct: int
    """Those that are correct, c."""
    greedy: int
    """1 where the greedy response is correct, else 0."""
    length: float
    """Mean tokens of the sampled responses."""
    truncated: float
    """Share of the sampled responses that the window cut off."""


class Evaluator(pl.LightningModule):
    """Predicts the score of items. A batch is (place of the environment, first item, one past the last)."""

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: Tokenizer,
        environments: list[Environment],
        settings: Evaluation,
        seed: int,
        sampler_batch: int,
    ):
        super().__init__()
        self.model, self.tokenizer, self.environments = model, tokenizer, environments
        self.settings, self.seed, self.sampler_batch = settings, seed, sampler_batch
        self.scores: dict[str, list[ItemScore]] = {environment.domain.name: [] for environment in environments}

    @property
    def share_done(self) -> float:
        """Share of the items that are scored."""
        items = sum(len(environment.items) for environment in self.environments)
        return sum(map(len, self.scores.values())) / items

    def figures(self) -> str:
        """Sampled pass@1 so far, of each domain that has begun."""
        begun = {name: rows for name, rows in self.scores.items() if rows}
        shares = {name: sum(row.correct / row.samples for row in rows) / len(rows) for name, rows in begun.items()}
        return "  ".join(f"{name} {share:.3f}" for name, share in shares.items())

    def batches(self) -> list[tuple[int, int, int]]:
        size = max(1, self.sampler_batch // self.settings.samples)
        return [
            (place, first, min(first + size, len(environment.items)))
            for place, environment in enumerate(self.environments)
            for first in range(0, len(environment.items), size)
        ]

    def predict_step(self, batch: tuple[int, int, int], batch_idx: int) -> list[ItemScore]:
        environment, first, end = self.environments[batch[0]], batch[1], batch[2]
        settings = self.settings
        sampled = self._responses(
            environment, first, end, Decoding(settings.temperature, settings.top_k, settings.top_p), settings.samples
        )
        greedy = self._responses(environment, first, end, Decoding(0.0), 1)
        scores = []
        for place, group, (best,) in zip(range(first, end), sampled, greedy, strict=True):
            item = environment.items[place]
            scores.append(
                ItemScore(
                    item=item.id,
                    level=item.level,
                    samples=len(group),
                    correct=sum(environment.verify(response.text, item) for response in group),
                    greedy=int(environment.verify(best.text, item)),
                    length=sum(len(response.tokens) for response in group) / len(group),
                    truncated=sum(not response.stopped for response in group) / len(group),
                )
            )
        self.scores[environment.domain.name] += scores
        return scores

    def _responses(
        self, environment: Environment, first: int, end: int, decoding: Decoding, count: int
    ) -> list[list[Response]]:
        # An item's draws depend on the item alone, so that models are compared with common random numbers.
        requests = [
            Request(environment.prompts[place], draws.key(self.seed, int(environment.items[place].id, 16)), count)
            for place in range(first, end)
        ]
        window = environment.domain.window.response
        decoding = Decoding(decoding.temperature, decoding.top_k, decoding.top_p, window)
        stop, batch = environment.domain.stop, self.sampler_batch
        return list(respond(self.model, self.tokenizer, requests, decoding, environment.stop_ids, stop, batch))


def evaluate_domains(
    config: EvaluateStage, folder: Path, tokenizer: Tokenizer, environments: list[Environment]
) -> dict[str, list[ItemScore]]:
    """The scores of every item of some domains."""
    model = load_model(folder)
    module = Evaluator(model, tokenizer, environments, config.evaluation, config.seed, config.sampler.batch)
    loader: Any = DataLoader(module.batches(), batch_size=None)  # type: ignore[arg-type]
    make_trainer(config.trainer, 1, [Progress(f"evaluate {config.name}")]).predict(
        module, loader, return_predictions=False
    )
    return module.scores
