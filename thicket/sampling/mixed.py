"""Responses that two models write together: at every position a rule says whose token is taken (arXiv 2603.22446).

π_mix = (1 − S_t)·π_primary + S_t·π_intervening, S_t = 1 where a score of the position is above a cut. Both models read
the same mixed prefix. One uniform number serves a position, whichever model draws: with no S_t the response is the
primary model's own, token for token, and with every S_t the intervening model's.

Legend: B rows, T response tokens, V vocabulary.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from thicket.ops import draws
from thicket.ops.divergence import jensen_shannon
from thicket.ops.log_probs import entropy
from thicket.ops.sampling import gather
from thicket.sampling.decode import Decoded, Decoding, draw, lockstep
from thicket.sampling.prompts import Prompts

Score = Literal["divergence", "random", "entropy", "log_ratio"]
POSITIONS = 0x5057
"""Stream of the draws that choose positions, apart from those of the tokens."""


@dataclass(frozen=True)
class Rule:
    """The intervening model draws where a score of the position is above a cut."""

    score: Score
    cut: float


NEVER = Rule("divergence", math.inf)
"""The primary model by itself."""


@dataclass(frozen=True)
class Mixed:
    """Responses, and for each of their tokens how it came about; what lies behind a response's end means nothing."""

    decoded: Decoded
    swapped_BT: Tensor
    """True where the intervening model drew."""
    changed_BT: Tensor
    """True where it drew another token than the primary model would have drawn with the same uniform number."""
    scores: Mapping[Score, Tensor]
    """scores_BT of every kind, whichever the rule went by."""

    @property
    def written_BT(self) -> Tensor:
        """True where a token of the response is."""
        lengths_B, swapped_BT = self.decoded.lengths_B, self.swapped_BT
        return torch.arange(swapped_BT.shape[1], device=lengths_B.device) < lengths_B.unsqueeze(1)


def mix(
    primary: Any,
    intervening: Any,
    words: int,
    prompts: Prompts,
    keys_B: Tensor,
    decoding: Decoding,
    stop_ids: list[int],
    rule: Rule,
) -> Mixed:
    """Continues each of U prompts G = B/U times; row b continues prompt b // G with the draws of keys_B[b].

    `words`: tokens of the tokenizer; logits beyond are padding. The temperature and the truncation of `decoding` are
    laid on each model before it draws; scores are of the distributions without them.
    """
    steps: list[tuple[Tensor, Tensor, dict[Score, Tensor]]] = []

    def choose(logits: list[Tensor], step: int) -> tuple[Tensor, Tensor]:
        (own_B, own_log_B), (other_B, other_log_B) = (draw(one_BV, keys_B, step, decoding) for one_BV in logits)
        log_p_BV, log_q_BV = (one_BV.float().log_softmax(dim=-1) for one_BV in logits)
        scores = position_scores(log_p_BV, log_q_BV, own_B, keys_B, step)
        swapped_B = scores[rule.score] > rule.cut
        steps.append((swapped_B, swapped_B & (own_B != other_B), scores))
        return torch.where(swapped_B, other_B, own_B), torch.where(swapped_B, other_log_B, own_log_B)

    decoded = lockstep([primary, intervening], words, prompts, len(keys_B), decoding.most, stop_ids, choose)
    swapped, changed, scores = zip(*steps, strict=True)
    of_kind = {kind: torch.stack([of_step[kind] for of_step in scores], dim=1) for kind in scores[0]}
    return Mixed(decoded, torch.stack(swapped, dim=1), torch.stack(changed, dim=1), of_kind)


def position_scores(
    log_p_BV: Tensor, log_q_BV: Tensor, own_B: Tensor, keys_B: Tensor, step: int
) -> dict[Score, Tensor]:
    """What a position is chosen by, scores_B: the higher, the sooner the intervening model draws.

    `log_p_BV` is the primary model's distribution, `own_B` the tokens that it drew. Divergence and entropy are in nats;
    the log-ratio is |log q − log p| of the token that was drawn; the random score lies evenly in (0, 1], so that it is
    above 1 − s at a share s of the positions.
    """
    return {
        # By rounding it can come out above its greatest value, which no threshold at log 2 would stop.
        "divergence": jensen_shannon(log_p_BV, log_q_BV).clamp(max=math.log(2)),
        "random": 1 - draws.uniform(draws.mixed(keys_B ^ POSITIONS), step),
        "entropy": entropy(log_p_BV),
        "log_ratio": (gather(log_q_BV, own_B) - gather(log_p_BV, own_B)).abs(),
    }
