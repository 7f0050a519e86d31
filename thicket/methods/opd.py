"""OPD: multi-teacher on-policy distillation with the exact full-vocabulary KL (DeepSeek-V4, arXiv 2606.19348 eq. 29).

Signal: at every token of the student's own responses, the whole next-token distribution of each teacher that judges it
(or less of it: its top k, its word on the sampled token, its top 1). Loss: mean over response tokens of Σ_i w_i D(π_θ,
π_Ei). No gradient flows through the sampling.

To it may come weights of domains by their distance to the teachers, a verifier's reward, and prompts that teachers
answer in the student's place (no gradient of a reward there).

With several updates on a rollout batch the student moves away from the one that drew the tokens. Divergences are always
those of the student of the moment. Estimates at the drawn tokens (the signal `sampled_token`, the gradient of a reward)
become its own by a weight: how much likelier the token is by now (MiMo-V2-Flash, arXiv 2601.02780). The prefixes stay
those of the older student.

The teachers read a rollout batch one after the other, and only their last hidden states are kept; logits are made of
them chunk by chunk, with the student's, and never stand in memory as a whole (`thicket.ops.chunked`).
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from transformers import PreTrainedModel

from thicket import ranks
from thicket.config.distillation import FullVocab, SampledToken, Signal, TopK
from thicket.config.distillation import Opd as Config
from thicket.config.stages import Teacher
from thicket.methods.method import OnRollouts, Passes, Rows, Updated, by_length, micro_batches, shares
from thicket.models.head import head_of
from thicket.models.teachers import Teachers
from thicket.ops import distillation
from thicket.ops.chosen import chosen_log_probs
from thicket.ops.chunked import chunked_loss
from thicket.ops.chunks import Fused, Setting, Teaching
from thicket.ops.head import Head
from thicket.ops.policy_gradient import bounded_ratio, group_advantages, token_mean_weights
from thicket.sampling.reading import trained_hidden

MIB = 2**20
SMALLEST = 1e-12
"""Of a ratio of mean divergences, which rounding may bring to 0 or below."""


@dataclass(frozen=True)
class _Heard:
    """A teacher among those that judge a token."""

    name: str
    weight: float
    kept: str
    """Where its hidden states are kept."""


class Opd(OnRollouts):
    """The method `opd`."""

    def __init__(self, config: Config, teachers: list[Teacher], models: Teachers, words: int):
        """`words`: tokens of the tokenizer; logits beyond them are padding."""
        super().__init__()
        self.config, self.models = config, models
        self.needs_rewards, self.needs_old = config.reward is not None, config.estimates
        self._noted: dict[str, float] = {}
        """Of this update: each domain's divergences, and under `_count` of it the tokens."""
        self._heads: dict[str, Head] = {}
        """Last layers of the teachers of the last domain that was asked for: the next micro-batch may be of it, too."""
        self.frozen = models.models
        self.teachers = [teacher for teacher in teachers if teacher.weight > 0]
        judged = 1 if config.routing == "all" else len({teacher.domain for teacher in self.teachers})
        self.passes = Passes(prepared=len(self.teachers) / judged)
        self.setting = Setting(loss_of(config.signal), fused(config.signal), words, config.logits_mib * MIB)

    def heard(self, domain: str) -> list[_Heard]:
        """The teachers that judge responses to a domain's prompts. Teachers in the same place share memory."""
        every = self.config.routing == "all"
        judges = [teacher for teacher in self.teachers if every or teacher.domain == domain]
        kept = [f"hidden {place} of {self.models.width(one.name)}" for place, one in enumerate(judges)]
        return [_Heard(one.name, one.weight, place) for one, place in zip(judges, kept, strict=True)]

    def answers(self, domain: str, places: Sequence[int]) -> list[str | None]:
        share, own = self.config.on_policy, [teacher.name for teacher in self.teachers if teacher.domain == domain]
        before = [math.floor(place * share) for place in places]  # answered by the student itself
        alone = [math.floor((place + 1) * share) > done for place, done in zip(places, before, strict=True)]
        turns = [(place - done) % max(1, len(own)) for place, done in zip(places, before, strict=True)]
        return [None if student else own[turn] for student, turn in zip(alone, turns, strict=True)]

    def reader(self, name: str) -> PreTrainedModel:
        ((_, model),) = self.models.in_turn([name])
        return model

    def prepare(self, rows: Rows, micro_batch: int) -> Rows:
        """The rows, those of a domain together, with the last hidden states of their teachers, hidden_BKH each."""
        if self.config.reward is not None:
            rewards_PG = rows.rewards_B.view(-1, self.config.group)
            advantages_B = group_advantages(rewards_PG, self.config.reward.advantage_epsilon).flatten()
            own_B = torch.ones_like(advantages_B) if rows.own_B is None else rows.own_B
            rows = replace(rows, advantages_BK=(advantages_B * own_B).unsqueeze(1) * rows.sequences.mask_BK)
        order = sorted(by_length(rows, self.config.group).tolist(), key=lambda row: rows.domains[row])
        rows = rows.rows(torch.tensor(order, device=rows.rewards_B.device))
        names = list(dict.fromkeys(teacher.name for teacher in self.teachers))
        for name, model in self.models.in_turn(names):
            for index_N, kept in self._judged_by(name, rows, micro_batch):
                part = rows.sequences.rows(index_N)
                with torch.no_grad():
                    hidden_NKH = trained_hidden(model, part)
                hidden_NKH = hidden_NKH.to(_precision(hidden_NKH))
                if kept not in rows.kept:
                    shape = (*rows.sequences.mask_BK.shape, hidden_NKH.shape[-1])
                    rows.kept[kept] = hidden_NKH.new_zeros(shape)
                rows.kept[kept][index_N, : hidden_NKH.shape[1]] = hidden_NKH
        return rows

    def _judged_by(self, name: str, rows: Rows, micro_batch: int) -> Iterator[tuple[Tensor, str]]:
        """Micro-batches of the rows that this process goes through in any update and that a teacher judges, and where
        its hidden states go."""
        updates = shares(len(rows.domains), self.config.group, self.config.updates)
        own = sorted(row for update in updates for part in micro_batches(update, micro_batch) for row in part.tolist())
        for domain in dict.fromkeys(rows.domains):
            places = [row for row in own if rows.domains[row] == domain]
            for heard in (one for one in self.heard(domain) if one.name == name):
                for start in range(0, len(places), micro_batch):
                    yield torch.tensor(places[start : start + micro_batch], device=rows.rewards_B.device), heard.kept

    def weights(self, rows: Rows) -> Tensor:
        mask_BK = rows.sequences.mask_BK
        domains = list(dict.fromkeys(rows.domains))
        of_B = torch.tensor([domains.index(domain) for domain in rows.domains], device=mask_BK.device)
        weights_BK = token_mean_weights(mask_BK)
        if self.config.balance == "domains":
            tokens_D = torch.zeros(len(domains), device=mask_BK.device).index_add(0, of_B, mask_BK.sum(dim=1))
            weights_BK = mask_BK / (len(domains) * tokens_D[of_B].clamp(min=1)).unsqueeze(1)
        factors_D = torch.tensor([self._factor(domain) for domain in domains], device=mask_BK.device)
        return weights_BK * factors_D[of_B].unsqueeze(1)

    def _factor(self, domain: str) -> float:
        """By the divergences of the domain's last tokens; 1 where there were none."""
        gap, means = self.config.gap, {name: total / count for name, (total, count) in self.state.items() if count}
        mean = sum(means.values()) / max(1, len(means))
        if gap is None or domain not in means or mean <= 0:
            return 1.0
        return min(gap.high, max(gap.low, max(SMALLEST, means[domain] / mean) ** gap.power))

    def update(self, policy: PreTrainedModel, rows: Rows, weights_BK: Tensor) -> Updated:
        sequences, hidden_BKH = rows.sequences, trained_hidden(policy, rows.sequences)
        places = self._places(rows)
        at = rows_N, columns_N = torch.cat([of_N for _, of_N, _ in places]), torch.cat([of_N for _, _, of_N in places])
        head = head_of(policy).tempered(self.config.softmax_temperature)
        hidden_NH, tokens_N = hidden_BKH[at], sequences.targets_BK[at]
        old_N = None if rows.old_log_probs_BK is None else rows.old_log_probs_BK[at]
        ratio_N = self._ratio(hidden_NH, head, tokens_N, old_N)
        of_signal, of_bonus = (ratio_N, 1.0) if isinstance(self.config.signal, SampledToken) else (1.0, ratio_N)
        loss, divergence_N, entropy_N = chunked_loss(
            hidden_NH,
            head,
            self._taught(rows, places),
            tokens_N,
            weights_BK[at] * of_signal,  # the bonus with it
            self.setting,
            self._bonus(rows.advantages_BK[at], of_bonus),
        )
        divergence_N = divergence_N * of_signal
        if self.config.gap is not None:
            self._note(rows, rows_N, divergence_N)

        def placed(value_N: Tensor) -> Tensor:
            like_BK = sequences.mask_BK
            return torch.zeros_like(like_BK).index_put((rows_N, columns_N), value_N.to(like_BK.dtype))

        divergence_BK, mask_BK = placed(divergence_N), sequences.mask_BK
        divergence_B = divergence_BK.sum(dim=1) / mask_BK.sum(dim=1).clamp(min=1)
        return Updated(loss, {"kl": divergence_BK, "entropy": placed(entropy_N)}, mask_BK, divergence_B)

    @torch.no_grad()
    def _ratio(self, hidden_NH: Tensor, head: Head, tokens_N: Tensor, old_N: Tensor | None) -> Tensor | float:
        """What an estimate at each token is weighted by: its probability in what the loss compares, over that with
        which it was drawn. 1 where the student hasn't moved since."""
        if old_N is None:
            return 1.0
        chunk_bytes, words = self.setting.chunk_bytes, self.setting.words
        log_prob_N, _ = chosen_log_probs(hidden_NH, head, tokens_N, chunk_bytes, words)
        return bounded_ratio(log_prob_N - old_N, self.config.ratio_max)

    def _bonus(self, advantages_N: Tensor, ratio_N: Tensor | float) -> Tensor | None:
        """What the reward gives to each token; nothing where another has answered, whatever the ratio is there."""
        if self.config.reward is None:
            return None
        return (self.config.reward.weight * advantages_N * ratio_N).masked_fill(advantages_N == 0, 0)

    def _note(self, rows: Rows, rows_N: Tensor, divergence_N: Tensor) -> None:
        """Adds up each domain's divergences and tokens, for the weights of the next update."""
        for domain in dict.fromkeys(rows.domains):
            of_B = torch.tensor([one == domain for one in rows.domains], device=rows_N.device)
            of_N = of_B[rows_N]
            for name, more_N in ((domain, divergence_N[of_N]), (_count(domain), of_N)):
                self._noted[name] = self._noted.get(name, 0.0) + float(more_N.sum())

    def updated(self) -> None:
        self._heads.clear()  # before teachers take turns again: a layer may lie in the place of one
        noted = ranks.summed(self._noted) if self.config.gap is not None else {}
        self.state |= {name: [noted[name], noted[_count(name)]] for name in noted if _count(name) in noted}
        self._noted.clear()

    def _places(self, rows: Rows) -> list[tuple[str, Tensor, Tensor]]:
        """Row and column of each domain's response tokens."""
        mask_BK, found = rows.sequences.mask_BK, list[tuple[str, Tensor, Tensor]]()
        for domain in dict.fromkeys(rows.domains):
            of_B = torch.tensor([one == domain for one in rows.domains], device=mask_BK.device)
            row_N, column_N = (mask_BK * of_B.unsqueeze(1)).nonzero(as_tuple=True)
            found.append((domain, row_N, column_N))
        return found

    def _taught(self, rows: Rows, places: Sequence[tuple[str, Tensor, Tensor]]) -> Iterator[Teaching]:
        """Who judges the tokens of each domain: their heads are read when it is asked for, if the micro-batch before
        didn't have it, so that no other's are in memory."""
        start = 0
        for domain, row_N, column_N in places:
            stop = start + len(row_N)
            if stop > start:
                yield self._teaching(rows, domain, row_N, column_N, slice(start, stop))
            start = stop

    def _teaching(self, rows: Rows, domain: str, row_N: Tensor, column_N: Tensor, tokens: slice) -> Teaching:
        heard = self.heard(domain)
        self._heads = {one.name: self._heads[one.name] for one in heard if one.name in self._heads}
        hidden = [rows.kept[one.kept][row_N, column_N] for one in heard]
        heads = [self._head(one.name, like) for one, like in zip(heard, hidden, strict=True)]
        return Teaching(tokens, heads, hidden, torch.tensor([one.weight for one in heard], dtype=torch.float64))

    def _head(self, name: str, like: Tensor) -> Head:
        """In the precision in which hidden states were kept."""
        if name not in self._heads:
            head = self.models.head(name, like.device, like.dtype)
            self._heads[name] = head.tempered(self.config.softmax_temperature)
        return self._heads[name]


def _count(domain: str) -> str:
    return f"tokens of {domain}"


def _precision(like: Tensor) -> torch.dtype:
    """That of matrix products at the moment."""
    kind = like.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else like.dtype


def loss_of(signal: Signal) -> distillation.Loss:
    """The loss of a token that a config means."""
    if isinstance(signal, FullVocab):
        if signal.divergence == "jsd":
            return distillation.jsd(signal.beta)
        return distillation.reverse_kl if signal.divergence == "reverse_kl" else distillation.forward_kl
    if isinstance(signal, TopK):
        of_top = distillation.top_k_with_tail if signal.rest == "bucket" else distillation.top_k_unnormalised
        return of_top(signal.k)
    return distillation.sampled_token(signal.clip) if isinstance(signal, SampledToken) else distillation.top1


def fused(signal: Signal) -> Fused | None:
    """The kernel for it, where there is one."""
    return Fused(signal.divergence, signal.beta) if isinstance(signal, FullVocab) else None
