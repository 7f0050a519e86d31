"""Training on fixed texts: cross-entropy on the responses. Legend: B texts, K trained positions, H hidden width."""

from dataclasses import replace

import torch
from transformers import PreTrainedModel

from thicket import ranks
from thicket.config.imitation import Imitation
from thicket.config.shown import Shown
from thicket.methods.texts import Text
from thicket.ops import draws
from thicket.sampling.environment import Environment
from thicket.sampling.prompts import Tokenizer
from thicket.sampling.reading import target_log_probs, trained_hidden
from thicket.sampling.rollouts import sequences
from thicket.sampling.sampler import Sampler
from thicket.training.curves import Row
from thicket.training.ledger import Ledger
from thicket.training.loop import Steps, chunks
from thicket.training.optimizer import adamw, learning_rate
from thicket.training.order import dealt
from thicket.training.selecting import score
from thicket.training.shown import is_shown, shown_texts

ORDER, DROPOUT = 1, 5
"""Streams of draws, apart from those of the samples and of the selection items."""


class ImitationTraining(Steps):
    """Lightning module: each step is one optimizer step on `batch` texts."""

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: Tokenizer,
        texts: list[Text],
        selection: list[Environment],
        config: Imitation,
        temperature: float,
        seed: int,
        sampler: Sampler,
        spent: Ledger,
    ):
        """`temperature` is that of the responses that are scored in the end, on the selection items of each domain;
        `spent` is what the texts have cost."""
        super().__init__(model)
        assert texts, "methods raise where there is nothing to imitate"
        self.tokenizer, self.texts, self.selection = tokenizer, texts, selection
        self.config, self.temperature, self.seed, self.sampler = config, temperature, seed, sampler
        self.ledger = replace(spent, parameters=self.ledger.parameters)

    @property
    def share_done(self) -> float:
        steps = self.step / self.config.steps
        return steps if self.config.flops is None else max(steps, self.ledger.flops / self.config.flops)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return adamw([self.model], self.config.optimizer)

    def take_step(self) -> Row:
        config, texts = self.config, self._dealt(self.step)
        loss = self.gradients(texts)
        norm = self.update(learning_rate(config.optimizer, self.step, config.steps), config.optimizer.clip)
        row = {"step": self.step + 1, "flops": self.ledger.flops, "loss": loss, "gradient_norm": norm}
        row["length"] = sum(len(text.response) for text in texts) / len(texts)
        if self.step + 1 == config.steps or (config.flops is not None and self.ledger.flops >= config.flops):
            row["selection"] = self._score()
        return row

    def _dealt(self, step: int) -> list[Text]:
        """The texts of a step, counted from 0."""
        first = step * self.config.batch
        places = dealt(range(first, first + self.config.batch), len(self.texts), self.seed, ORDER)
        return [self.texts[place] for place in places]

    @property
    def shown(self) -> list[Shown]:
        """Texts of the steps that were made, for people to read."""
        steps = [step for step in range(1, self.step + 1) if is_shown(step)]
        return [one for step in steps for one in shown_texts(step, self._dealt(step - 1), self.tokenizer)]

    def gradients(self, texts: list[Text]) -> float:
        """Adds up the gradients of −(1/Σ|y|) Σ log π(y_t), over all response tokens of the texts; returns the loss.

        The denominator is that of the whole step, so that gradients of micro-batches sum to the whole's.
        """
        self.model.train()
        texts = sorted(texts, key=lambda text: len(text.prompt) + len(text.response))  # little padding in a micro-batch
        count, total = sum(len(text.response) for text in texts), 0.0
        size = ranks.even(len(texts), self.config.micro_batch)
        for part in ranks.own(list(chunks(len(texts), size))):
            micro = texts[part]
            batch = sequences([text.prompt for text in micro], [text.response for text in micro], self.device)
            with torch.random.fork_rng(self._generators()):  # Only an adapter's dropout draws from it.
                torch.manual_seed(draws.key(self.seed, DROPOUT, self.step, part.start) >> 1)
                hidden_BKH = trained_hidden(self.model, batch)
            log_probs_BK, _ = target_log_probs(self.model, hidden_BKH, batch)
            loss = -(log_probs_BK * batch.mask_BK).sum() / count
            self.manual_backward(loss)
            total += float(loss.detach())
        for part in chunks(len(texts), self.config.micro_batch):
            self.ledger.trained(sum(len(text.prompt) + len(text.response) for text in texts[part]))
        return ranks.summed({"loss": total})["loss"]

    def _generators(self) -> list[torch.device]:
        return [self.device] if self.device.type == "cuda" else []

    def _score(self) -> float:
        samples, sampler = self.config.select_samples, self.sampler
        return score(self.model, self.tokenizer, self.selection, self.temperature, self.seed, samples, sampler)
