"""A search in weight space: each step scores one candidate, and the centre moves when its population is scored.

Blind to the method: `thicket.methods` says where the candidates lie and where the centre goes. Legend: M candidates
that are scored in one forward pass.
"""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import PreTrainedModel

from thicket import ranks
from thicket.config.search import Perturbed
from thicket.config.useful import USEFUL, differ
from thicket.methods.search import SearchMethod
from thicket.models.perturb import Neighbourhood
from thicket.models.stacked import not_stackable, stacked
from thicket.sampling.judging import judges_itself
from thicket.training.curves import Row
from thicket.training.loop import Steps
from thicket.training.scoring import Scored, Scorer

FEWEST = 4
"""Candidates from which on one pass for all is faster on a GPU than one after another: on an H100, with 200 items each,
two of a model of 135 M parameters took 1.2 times as long as alone, four 0.76, sixteen 0.38 (fp32)."""


class SearchTraining(Steps):
    """Lightning module of the methods that score perturbations: RandOpt, ES."""

    def __init__(self, model: PreTrainedModel, scorer: Scorer, config: Perturbed, method: SearchMethod):
        super().__init__(model)
        self.strict_loading = False  # the checkpoint of a centre that has not moved is without weights
        self.scorer, self.config, self.method = scorer, config, method
        self.moved = False
        self._neighbourhood: Neighbourhood | None = None
        self._ahead: dict[int, Scored] = {}

    @property
    def share_done(self) -> float:
        done = self.step / self.method.candidates
        if self.config.flops is None or not self.method.may_stop(self.step):
            return done
        return max(done, self.ledger.flops / self.config.flops)

    @property
    def at_once(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return min(self._together() * ranks.count(), self.method.population)

    @property
    def ahead(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.step in self._ahead

    @property
    def scores(self) -> list[float]:
        """Of the candidates so far."""
        return [row["reward"] for row in self.rows]

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return []

    def on_fit_start(self) -> None:
        self._neighbourhood = Neighbourhood(self.model)
        super().on_fit_start()

    def take_step(self) -> Row:
        if self.step not in self._ahead:
            self._ahead = self._score_block()
        scored, asked = self._ahead[self.step], self.scorer.asked
        self.ledger.forward(sum(map(len, asked.prompts)))
        self.ledger.generated(scored.generated)
        self.ledger.flops += scored.judging
        length = scored.generated / len(asked.items)
        row = {"step": self.step + 1, "flops": self.ledger.flops, "reward": scored.reward, "length": length}
        if (self.step + 1) % self.method.population == 0:
            population = [*self.scores, scored.reward][-self.method.population :]
            self._move_centre(population)
            row[USEFUL] = float(differ(population))
        return row

    def _move_centre(self, scores: Sequence[float]) -> None:
        directions = [self.method.direction(n) for n in range(self.step + 1 - len(scores), self.step + 1)]
        step = self.method.step(directions, scores)
        if step:
            assert self._neighbourhood is not None
            self._neighbourhood.walk(*step)
            self.moved = True

    def _score_block(self) -> dict[int, Scored]:
        """The scores of up to M candidates around one centre, this step's among them, by number; where there are
        several processes, of a block of them for each.

        A resumed run scores the very block again that an unbroken one scored: its rounding may depend on the company.
        """
        count, population = self._together(), self.method.population
        first = self.step - self.step % population
        block = first + (self.step - first) // count * count
        starts = [block + place * count for place in range(ranks.count())]
        blocks = [range(start, min(start + count, first + population)) for start in starts]
        found = ranks.spread([numbers for numbers in blocks if numbers], lambda mine: list(map(self._scored, mine)))
        return {number: scored for scores in found for number, scored in scores.items()}

    def _scored(self, numbers: range) -> dict[int, Scored]:
        directions = [self.method.direction(number) for number in numbers]
        assert self._neighbourhood is not None
        alone = self._together() == 1
        around = self._neighbourhood.at(*directions) if alone else stacked(self.model, directions)
        with around:
            return dict(zip(numbers, self.scorer.score(self.model, len(directions)), strict=True))

    def _together(self) -> int:
        """M. Raises: ValueError where the config asks for several and they can't be evaluated together."""
        unfit = "".join(f"its module {name}" for name in not_stackable(self.model)[:1])
        if judges_itself(self.scorer.asked):
            unfit = "the verdict, which each gives on its own answers"
        if self.config.together is None:
            room = min(self.scorer.batch // len(self.scorer.asked.items), self._room())
            return 1 if unfit or room < FEWEST else room
        if self.config.together > 1 and unfit:
            raise ValueError(
                f"method.together = {self.config.together}: this model's perturbations can only be evaluated one after "
                f"another, because of {unfit}; allowed: 1, null"
            )
        return self.config.together

    def _room(self) -> int:
        """Copies of the weights that half of the GPU's memory holds, beside the model and its kept copy; 0 on a CPU."""
        if self.device.type != "cuda":
            return 0
        weights = sum(parameter.numel() * parameter.element_size() for parameter in self.model.parameters())
        return torch.cuda.get_device_properties(self.device).total_memory // (2 * weights) - 2

    # -- checkpoints -------------------------------------------------------------------------------------------------

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        checkpoint["thicket"]["moved"] = self.moved
        if not self.moved:
            checkpoint["state_dict"] = {}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(checkpoint)
        self.moved = checkpoint["thicket"]["moved"]
