"""Training on a policy's own rollouts: prompts → responses → rewards → the method's weights and losses → updates.

Blind to the algorithm: `thicket.methods` says what a token's loss and weight are. Legend: P prompts, G responses a
prompt, B = P·G rows of a batch, K trained positions.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from time import monotonic
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from thicket import ranks
from thicket.config.on_policy import OnPolicy
from thicket.config.shown import Shown
from thicket.config.useful import USEFUL, differ
from thicket.domains.verdict import Verdict
from thicket.methods.method import Method, Rows, micro_batches, shares, stacked
from thicket.ops import draws
from thicket.sampling.prompts import Tokenizer
from thicket.sampling.reading import target_log_probs, trained_hidden
from thicket.sampling.rollouts import Request, Response, sequences
from thicket.sampling.sampler import Sampler
from thicket.training.asking import Arena, Asked, answered, in_sequence, in_turn
from thicket.training.curves import Row
from thicket.training.loop import Steps, chunks
from thicket.training.optimizer import adamw, learning_rate
from thicket.training.order import dealt as in_order
from thicket.training.rewards import reward
from thicket.training.selecting import score as selection_score
from thicket.training.shown import cut, is_shown, of_first_prompts, readable

ORDER, ROLLOUT = 1, 2
"""Streams of draws that must not meet: the order of prompts, and rollouts."""
LOSS, COUNT = "loss of a share", "tokens of a share"
"""What each process adds to an update's figures."""
UNJUDGED = Verdict(False)
"""Of a response whose reward nobody asks for."""


@dataclass(frozen=True)
class Budget:
    """How long a run goes on: rollout batches, floating-point operations, or what is spent first of both."""

    steps: int | None = None
    flops: float | None = None


@dataclass(frozen=True)
class Rollout:
    """A response as training sees it."""

    prompt: list[int]
    response: Response
    arena: Arena
    verdict: Verdict
    writer: str | None
    """The model that answered in the policy's place."""

    @property
    def own(self) -> bool:
        """Whether the policy itself answered."""
        return self.writer is None


class PolicyTraining(Steps):
    """Lightning module of every method on rollouts: policy gradients, mixed RL, on-policy distillation."""

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: Tokenizer,
        arenas: list[Arena],
        config: OnPolicy,
        method: Method,
        budget: Budget,
        seed: int,
        sampler: Sampler,
    ):
        super().__init__(model)
        self.tokenizer, self.arenas, self.config, self.method = tokenizer, arenas, config, method
        self.budget, self.seed, self.sampler = budget, seed, sampler
        self.critic = method.critic
        self.updates, self.passes = getattr(config, "updates", 1), getattr(config, "passes", 1)
        self.dealt = 0  # batches of prompts that were sampled
        self.dealt_to = [0] * len(arenas)  # prompts
        self.best: tuple[float, dict[str, Tensor]] | None = None
        self.shown: list[Shown] = []
        self._divergences: dict[str, float] = {}
        """From the teachers, of this step's responses that this process has read: by place in the rollout batch."""

    @property
    def share_done(self) -> float:
        return self._done(self.step)

    def _done(self, steps: int) -> float:
        by_steps = steps / self.budget.steps if self.budget.steps is not None else 0.0
        by_flops = self.ledger.flops / self.budget.flops if self.budget.flops is not None else 0.0
        return max(by_steps, by_flops)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        critic = [] if self.critic is None else [self.critic]
        return adamw([self.model, *critic], self.config.optimizer, [1.0, self.method.critic_rate])

    def on_fit_start(self) -> None:
        for model in self.method.frozen:
            model.to(self.device).eval()  # type: ignore[arg-type]
        super().on_fit_start()

    # -- a step ------------------------------------------------------------------------------------------------------

    def take_step(self) -> Row:
        with self.timed("rollouts"):
            rollouts, sampled, row = self._rollouts()
        row |= {"step": self.step + 1}
        self._divergences.clear()
        if rollouts:
            with self.timed("updates"):
                row |= self._learn(rollouts)
        if is_shown(self.step + 1):
            self._show(sampled, rollouts)
        row["flops"] = self.ledger.flops
        every = self.config.select_every
        # The last step scores here too: after the training Lightning has taken the model off its device.
        if (every and (self.step + 1) % every == 0) or self._done(self.step + 1) >= 1:
            with self.timed("selection"):
                row["selection"] = self._select()
        return row

    @contextmanager
    def timed(self, phase: str) -> Iterator[None]:
        """Adds the time of a block to the phase's."""
        started = monotonic()
        yield
        self.phases[phase] = self.phases.get(phase, 0.0) + monotonic() - started

    def _rollouts(self) -> tuple[list[Rollout], list[Rollout], Row]:
        """Responses to a batch of prompts, group after group: of several batches, the first groups that are useful;
        and all that were sampled."""
        self.method.begin(self.model)
        wanted, group = self.config.prompts, self.config.group
        kept: list[Rollout] = []
        sampled: list[Rollout] = []
        for _ in range(self.method.rounds):
            batch = self._sample()
            sampled += batch
            earned_PG = torch.tensor([rollout.verdict.earned for rollout in batch]).view(-1, group)
            useful = self.method.useful(earned_PG).tolist()
            kept += [rollout for place, rollout in enumerate(batch) if useful[place // group]]
            if len(kept) >= wanted * group:
                break
        own = [rollout for rollout in sampled if rollout.own] or sampled
        row: Row = {"length": sum(len(rollout.response.tokens) for rollout in own) / len(own)}
        if self.method.needs_rewards:
            row["reward"] = sum(map(self._reward, own)) / len(own)
            row[USEFUL] = self._useful(sampled)
        if self.method.rounds > 1:
            row[USEFUL] = len(kept) / len(sampled)
        return kept[: wanted * group], sampled, row

    def _useful(self, sampled: list[Rollout]) -> float:
        """The share of groups whose rewards differ; for single responses, and with a critic, the batch is the group."""
        rewards = list(map(self._reward, sampled))
        group = len(rewards) if self.critic is not None or self.config.group == 1 else self.config.group
        groups = [rewards[part] for part in chunks(len(rewards), group)]
        return sum(map(differ, groups)) / len(groups)

    def _show(self, sampled: list[Rollout], learned: list[Rollout]) -> None:
        """Keeps some of a step's responses for people to read. Of those that were learned from, the divergence from
        teachers is known; they are told apart by identity, since responses may be equal."""
        found = ranks.summed(self._divergences)
        of = {id(one): found[str(place)] for place, one in enumerate(learned) if str(place) in found}
        judged = self.method.needs_rewards
        for one in of_first_prompts(sampled, self.config.group, lambda rollout: rollout.arena.domain.name):
            self.shown.append(
                Shown(
                    step=self.step + 1,
                    domain=one.arena.domain.name,
                    prompt=readable(self.tokenizer, one.prompt),
                    response=cut(one.response.text),
                    reward=self._reward(one) if judged else None,
                    tokens=len(one.response.tokens),
                    writer=one.writer,
                    correct=one.verdict.correct if judged else None,
                    divergence=of.get(id(one)),
                )
            )

    def _sample(self) -> list[Rollout]:
        """The next batch of prompts, with the responses to each, those of an arena together."""
        asked = self._ask()
        settings = self.config.temperature, self.config.top_k, self.config.top_p
        groups = answered(asked, self._model, self.tokenizer, settings, self.sampler)
        rollouts: list[Rollout] = []
        for index, arena in enumerate(self.arenas):
            here = [(one, group) for one, group in zip(asked, groups, strict=True) if one.arena is arena]
            given = [(response.text, arena.train.items[one.item]) for one, group in here for response in group]
            verdicts = ranks.spread(given, arena.train.judge) if self.method.needs_rewards else []
            self.ledger.judged(verdicts)
            said = iter(verdicts)
            for one, group in here:
                writer, prompt = one.writer, one.request.prompt
                rollouts += [Rollout(prompt, response, arena, next(said, UNJUDGED), writer) for response in group]
            self.dealt_to[index] += len(here)
        self.ledger.forward(sum(len(one.request.prompt) for one in asked))
        self.ledger.generated(sum(len(rollout.response.tokens) for rollout in rollouts))
        self.dealt += 1
        return rollouts

    def _ask(self) -> list[Asked]:
        """The prompts of the next batch; each pass over an arena's items is in a new order."""
        asked: list[Asked] = []
        for index, (arena, places) in enumerate(zip(self.arenas, self._dealt(), strict=True)):
            chosen = in_order(places, len(arena.train.items), self.seed, ORDER, index)
            writers = self.method.answers(arena.domain.name, places)
            for place, (item, writer) in enumerate(zip(chosen, writers, strict=True)):
                key = draws.key(self.seed, ROLLOUT, self.dealt, index, place)
                request = Request(arena.train.prompts[item], key, self.config.group)
                asked.append(Asked(arena, item, request, writer))
        return asked

    def _dealt(self) -> list[range]:
        if getattr(self.config, "order", "together") == "sequence":
            return in_sequence(self.config.prompts, self.dealt_to, self.share_done)
        return in_turn(self.config.prompts, self.dealt_to)

    def _model(self, writer: str | None) -> PreTrainedModel:
        return self.model if writer is None else self.method.reader(writer)

    def _reward(self, rollout: Rollout) -> float:
        tokens, cache = len(rollout.response.tokens), getattr(self.config, "overlong_cache", 0)
        return reward(rollout.verdict.earned, tokens, rollout.arena.domain, cache) if self.method.needs_rewards else 0.0

    # -- updates -----------------------------------------------------------------------------------------------------

    def _learn(self, rollouts: list[Rollout]) -> Row:
        """All updates on a rollout batch, without dropout: the policy of the ratio is the one that answered."""
        self.model.eval()
        rows = self.method.prepare(self._rows(rollouts), self.config.micro_batch)
        self.ledger.forward(int(rows.sequences.lengths_B.sum()), self.method.passes.prepared)
        parts = self._parts(rows) * self.passes
        losses = [self._update(part, index) for index, part in enumerate(parts)]
        names = {name for loss in losses for name in loss}
        return {name: sum(loss.get(name, 0.0) for loss in losses) / len(losses) for name in sorted(names)}

    def _rows(self, rollouts: list[Rollout]) -> Rows:
        prompts, responses = [r.prompt for r in rollouts], [r.response.tokens for r in rollouts]
        batch = sequences(prompts, responses, self.device)
        if getattr(self.config, "overlong_filter", False):
            stopped_B = torch.tensor([r.response.stopped for r in rollouts], device=self.device)
            batch = replace(batch, mask_BK=batch.mask_BK * stopped_B.unsqueeze(1))
        return Rows(
            sequences=batch,
            domains=[rollout.arena.domain.name for rollout in rollouts],
            rewards_B=torch.tensor([self._reward(rollout) for rollout in rollouts], device=self.device),
            longest_B=torch.tensor([r.arena.domain.window.response for r in rollouts], device=self.device),
            advantages_BK=torch.zeros_like(batch.mask_BK),
            behaviour_BK=_behaviour(rollouts, batch.targets_BK.shape[1]).to(self.device),
            own_B=torch.tensor([float(rollout.own) for rollout in rollouts], device=self.device),
            places_B=torch.arange(len(rollouts), device=self.device),
        )

    def _parts(self, rows: Rows) -> list[Rows]:
        """The rows of each update."""
        if self.updates * self.passes == 1:
            return [rows]
        if self.method.needs_old:
            rows = replace(rows, old_log_probs_BK=self._old_log_probs(rows))
        parts = shares(len(rows.domains), self.config.group, self.updates)
        return [rows.rows(part.to(self.device)) for part in parts]

    @torch.no_grad()
    def _old_log_probs(self, rows: Rows) -> Tensor:
        def read(part: slice) -> Tensor:
            micro = rows.sequences.rows(torch.arange(part.start, part.stop, device=self.device))
            hidden_BKH = trained_hidden(self.model, micro)
            return ranks.sent(target_log_probs(self.model, hidden_BKH, micro, self.config.temperature)[0])

        parts = list(chunks(len(rows.sequences), self.config.micro_batch))
        read_BK = ranks.spread(parts, lambda mine: list(map(read, mine)))
        self.ledger.forward(int(rows.sequences.lengths_B.sum()))
        return stacked(read_BK, rows.sequences.mask_BK.shape[1]).to(self.device)

    def _update(self, rows: Rows, index: int) -> Row:
        """One optimizer step on some rows: gradients of micro-batches add up to that of the whole."""
        weights_BK, order_B = self.method.weights(rows), self.method.in_order(rows)
        total, count, figures = 0.0, 0.0, {}
        for index_N in micro_batches(order_B, self.config.micro_batch):
            micro = rows.rows(index_N)
            weights_NK = weights_BK[index_N, : len(micro.sequences.positions_K)]
            found = self.method.update(self.model, micro, weights_NK)
            self.manual_backward(found.loss)
            total += float(found.loss.detach())
            count += float(found.mask_BK.sum())
            if is_shown(self.step + 1) and found.divergence_B is not None and micro.places_B is not None:
                places = map(str, micro.places_B.tolist())
                self._divergences |= dict(zip(places, found.divergence_B.tolist(), strict=True))
            for name, value_BK in found.figures.items():
                figures[name] = figures.get(name, 0.0) + float((value_BK * found.mask_BK).sum())
        self.method.updated()
        figures = ranks.summed({**figures, LOSS: total, COUNT: count})
        total, count = figures.pop(LOSS), figures.pop(COUNT)
        trained = int(rows.sequences.lengths_B.sum())
        passes = self.method.passes
        self.ledger.trained(trained, 1 + passes.trained)
        self.ledger.forward(trained, passes.forward)
        many = self.updates * self.passes
        steps = None if self.budget.steps is None else self.budget.steps * many
        rate = learning_rate(self.config.optimizer, self.step * many + index, steps)
        norm = self.update(rate, self.config.optimizer.clip)
        return {
            "loss": total,
            "gradient_norm": norm,
            **{name: value / max(1.0, count) for name, value in figures.items()},
        }

    # -- choosing ----------------------------------------------------------------------------------------------------

    def _select(self) -> float:
        """Sampled pass@1 on the selection items, the mean over domains; keeps the best weights if they are wanted."""
        environments, samples = [arena.selection for arena in self.arenas], self.config.select_samples
        settings = self.config.temperature, self.seed, samples, self.sampler
        score = selection_score(self.model, self.tokenizer, environments, *settings)
        if self.config.publish == "best" and (self.best is None or score > self.best[0]):
            self.best = score, {name: tensor.detach().cpu().clone() for name, tensor in self.model.state_dict().items()}
        return score

    def finish(self) -> float:
        """The score of what is published: the last checkpoint, or the best one, whose weights are put in place."""
        score = self.rows[-1]["selection"]
        if self.best is not None:
            score, weights = self.best
            self.model.load_state_dict(weights)
        return score

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        checkpoint["thicket"] |= {"best": list(self.best) if self.best else None, "dealt": self.dealt}
        checkpoint["thicket"] |= {"dealt_to": self.dealt_to, "method": self.method.state}
        checkpoint["thicket"]["shown"] = [asdict(one) for one in self.shown]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(checkpoint)
        best = checkpoint["thicket"]["best"]
        self.best = (best[0], best[1]) if best else None
        self.dealt = checkpoint["thicket"]["dealt"]
        self.dealt_to, self.method.state = checkpoint["thicket"]["dealt_to"], checkpoint["thicket"]["method"]
        self.shown = [Shown(**one) for one in checkpoint["thicket"]["shown"]]


def _behaviour(rollouts: list[Rollout], columns: int) -> Tensor:
    """Behaviour log-probabilities where the responses' tokens are targets, behaviour_BK; 0 elsewhere."""
    first = min(len(rollout.prompt) for rollout in rollouts)
    behaviour_BK = torch.zeros((len(rollouts), columns))
    for row, rollout in enumerate(rollouts):
        start = len(rollout.prompt) - first
        behaviour_BK[row, start : start + len(rollout.response.tokens)] = torch.tensor(rollout.response.log_probs)
    return behaviour_BK
