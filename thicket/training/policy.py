"""Training on a policy's own rollouts: prompts → responses → rewards → the method's weights and losses → updates.

Blind to the algorithm: `thicket.methods` says what a token's loss and weight are. Legend: B = P·G rows of a batch.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from thicket.config.domain import TrainedDomain
from thicket.config.method import OnPolicy
from thicket.methods.method import Method, Rows
from thicket.ops import draws
from thicket.ops.log_probs import token_log_probs
from thicket.sampling.decode import Decoding
from thicket.sampling.environment import Environment
from thicket.sampling.prompts import Tokenizer
from thicket.sampling.rollouts import Request, Response, logits_of, respond, sequences
from thicket.training.curves import Row
from thicket.training.loop import Steps, chunks
from thicket.training.optimizer import adamw, learning_rate

ORDER, ROLLOUT, SELECTION = 1, 2, 3
"""Streams of draws that must not meet: the order of prompts, rollouts, scores on selection items."""


@dataclass(frozen=True)
class Arena:
    """A domain to train on."""

    domain: TrainedDomain
    train: Environment
    selection: Environment


@dataclass(frozen=True)
class Budget:
    """How long a run goes on: rollout batches, or floating-point operations."""

    steps: int | None = None
    flops: float | None = None


class PolicyTraining(Steps):
    """Lightning module of every method on rollouts: GRPO, mixed RL, on-policy distillation."""

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: Tokenizer,
        arenas: list[Arena],
        config: OnPolicy,
        method: Method,
        budget: Budget,
        seed: int,
        sampler_batch: int,
        frozen: list[PreTrainedModel],
    ):
        """`frozen` are models that the method reads; they go to the device and are neither trained nor saved."""
        super().__init__(model)
        self.tokenizer, self.arenas, self.config, self.method = tokenizer, arenas, config, method
        self.budget, self.seed, self.sampler_batch = budget, seed, sampler_batch
        self.frozen = (frozen,)  # A tuple hides them from torch's list of submodules.
        self.updates = getattr(config, "updates", 1)
        self.best: tuple[float, dict[str, Tensor]] | None = None

    @property
    def share_done(self) -> float:
        if self.budget.steps is not None:
            return self.step / self.budget.steps
        assert self.budget.flops is not None
        return self.ledger.flops / self.budget.flops

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return adamw(self.model.parameters(), self.config.optimizer)

    def on_fit_start(self) -> None:
        for model in self.frozen[0]:
            model.to(self.device).eval()  # type: ignore[arg-type]
        super().on_fit_start()

    # -- a step ------------------------------------------------------------------------------------------------------

    def take_step(self) -> Row:
        rows, row = self._rollouts()
        losses = [self._update(part, index) for index, part in enumerate(self._parts(rows))]
        row |= {name: sum(loss[name] for loss in losses) / len(losses) for name in losses[0]}
        row |= {"step": self.step + 1, "flops": self.ledger.flops}
        every = self.config.select_every
        if every and (self.step + 1) % every == 0:
            row["selection"] = self._select()
        return row

    def _rollouts(self) -> tuple[Rows, Row]:
        """A batch of rollouts, rows sorted by domain, with rewards and advantages."""
        config = self.config
        prompts: list[list[int]] = []
        tokens: list[list[int]] = []
        domains: list[str] = []
        rewards: list[float] = []
        for index, arena in enumerate(self.arenas):
            chosen = self._chosen(index)
            requests = [
                Request(arena.train.prompts[item], draws.key(self.seed, ROLLOUT, self.step, index, place), config.group)
                for place, item in enumerate(chosen)
            ]
            responses = self._respond(arena.train, requests, config.temperature, config.top_k, config.top_p)
            for item, group in zip(chosen, responses, strict=True):
                prompts += [arena.train.prompts[item]] * len(group)
                tokens += [response.tokens for response in group]
                domains += [arena.domain.name] * len(group)
                rewards += [self._reward(arena, item, response) for response in group]
        self.ledger.forward(sum(map(len, prompts)) // config.group)
        self.ledger.generated(sum(map(len, tokens)))
        rewards_B = torch.tensor(rewards, device=self.device)
        advantages_B = self.method.advantages(rewards_B.view(-1, config.group)).flatten()
        batch = sequences(prompts, tokens, self.device)
        row = {"length": sum(map(len, tokens)) / len(tokens)}
        if self.method.needs_rewards:
            row["reward"] = float(rewards_B.mean())
        return Rows(batch, domains, rewards_B, advantages_B), row

    def _chosen(self, index: int) -> list[int]:
        """Items of this step for an arena.

        Prompts are dealt to the arenas in turn, step after step; each pass over an arena's items is in a new order.
        """
        first, arenas = self.step * self.config.prompts, len(self.arenas)
        dealt = range(first, first + self.config.prompts)
        size = len(self.arenas[index].train.items)
        positions = [n // arenas for n in dealt if n % arenas == index]
        return [shuffled(size, draws.key(self.seed, ORDER, index, n // size))[n % size] for n in positions]

    def _respond(
        self, environment: Environment, requests: list[Request], temperature: float, top_k: int, top_p: float
    ) -> list[list[Response]]:
        domain = environment.domain
        decoding = Decoding(temperature, top_k, top_p, most=domain.window.response)
        batch, tokenizer = self.sampler_batch, self.tokenizer
        return list(respond(self.model, tokenizer, requests, decoding, environment.stop_ids, domain.stop, batch))

    def _reward(self, arena: Arena, item: int, response: Response) -> float:
        """1 for a correct response, 0 for another, less the domain's length penalty."""
        if not self.method.needs_rewards:
            return 0.0
        correct = float(arena.train.verify(response.text, arena.train.items[item]))
        return correct - arena.domain.length_penalty * len(response.tokens) / arena.domain.window.response

    # -- updates -----------------------------------------------------------------------------------------------------

    def _parts(self, rows: Rows) -> list[Rows]:
        """The rows of each update: prompts dealt out in turn, so that every update sees every domain."""
        if self.updates == 1:
            return [rows]
        group, prompts = self.config.group, len(rows.domains) // self.config.group
        old_BK = self._old_log_probs(rows)
        dealt = [
            [prompt * group + g for prompt in range(update, prompts, self.updates) for g in range(group)]
            for update in range(self.updates)
        ]
        return [select(rows, torch.tensor(part, device=self.device), old_BK) for part in dealt]

    @torch.no_grad()
    def _old_log_probs(self, rows: Rows) -> Tensor:
        self.model.eval()
        parts = []
        for part in chunks(len(rows.sequences), self.config.micro_batch):
            micro = select(rows, torch.arange(part.start, part.stop, device=self.device))
            logits_BKV = logits_of(self.model, micro.sequences) / self.config.temperature
            parts.append(token_log_probs(logits_BKV.log_softmax(dim=-1), micro.sequences.targets_BK))
        self.ledger.forward(int(rows.sequences.lengths_B.sum()))
        return torch.cat(parts)

    def _update(self, rows: Rows, index: int) -> Row:
        """One optimizer step on some rows: gradients of micro-batches add up to that of the whole."""
        self.model.train()
        weights_BK = self.method.weights(rows.sequences.mask_BK)
        total, figures = 0.0, {}
        count = rows.sequences.mask_BK.sum()
        for part in chunks(len(rows.sequences), self.config.micro_batch):
            micro = select(rows, torch.arange(part.start, part.stop, device=self.device))
            token = self.method.token_loss(logits_of(self.model, micro.sequences), micro)
            loss = (token.loss_BK * weights_BK[part]).sum()
            self.manual_backward(loss)
            total += float(loss.detach())
            for name, value_BK in token.figures.items():
                mean = float((value_BK * micro.sequences.mask_BK).sum() / count)
                figures[name] = figures.get(name, 0.0) + mean
        trained = int(rows.sequences.lengths_B.sum())
        self.ledger.trained(trained)
        self.ledger.forward(trained, self.method.forward_passes)
        steps = None if self.budget.steps is None else self.budget.steps * self.updates
        rate = learning_rate(self.config.optimizer, self.step * self.updates + index, steps)
        self.update(rate, self.config.optimizer.clip)
        return {"loss": total, **figures}

    # -- choosing ----------------------------------------------------------------------------------------------------

    def _select(self) -> float:
        """Sampled pass@1 on the selection items, the mean over domains; keeps the best weights if they are wanted."""
        scores = []
        for index, arena in enumerate(self.arenas):
            environment = arena.selection
            # The same draws at every step: differences between checkpoints are the checkpoints'.
            requests = [
                Request(prompt, draws.key(self.seed, SELECTION, index, place), self.config.select_samples)
                for place, prompt in enumerate(environment.prompts)
            ]
            responses = self._respond(environment, requests, self.config.temperature, 0, 1.0)
            correct = [
                environment.verify(response.text, item)
                for item, group in zip(environment.items, responses, strict=True)
                for response in group
            ]
            scores.append(sum(correct) / len(correct))
        score = sum(scores) / len(scores)
        if self.config.publish == "best" and (self.best is None or score > self.best[0]):
            self.best = score, {name: tensor.detach().cpu().clone() for name, tensor in self.model.state_dict().items()}
        return score

    def finish(self) -> float:
        """The score of what is published: the last checkpoint, or the best one, whose weights are put in place."""
        last = self.rows[-1].get("selection")
        score = self._select() if last is None else last
        self.rows[-1]["selection"] = score
        if self.best is not None:
            score, weights = self.best
            self.model.load_state_dict(weights)
        return score

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        checkpoint["thicket"]["best"] = list(self.best) if self.best else None

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(checkpoint)
        best = checkpoint["thicket"]["best"]
        self.best = (best[0], best[1]) if best else None


@lru_cache(maxsize=64)
def shuffled(size: int, key: int) -> list[int]:
    """The whole numbers below `size` in the key's order."""
    generator = torch.Generator().manual_seed(key >> 1)  # seeds are signed words
    return torch.randperm(size, generator=generator).tolist()


def select(rows: Rows, index_N: Tensor, old_BK: Tensor | None = None) -> Rows:
    """Some rows of a batch; `old_BK` are log-probabilities of all rows under the old policy."""
    old = rows.old_log_probs_BK if old_BK is None else old_BK
    return Rows(
        sequences=rows.sequences.rows(index_N),
        domains=[rows.domains[i] for i in index_N.tolist()],
        rewards_B=rows.rewards_B[index_N],
        advantages_B=rows.advantages_B[index_N],
        old_log_probs_BK=None if old is None else old[index_N],
    )
