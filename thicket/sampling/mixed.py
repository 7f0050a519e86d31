"""Responses that two models write together: at every position a rule says whose token is taken (arXiv 2603.22446).

π_mix = (1 − S_t)·π_primary + S_t·π_intervening, S_t = 1 where a score of the position is above a cut. Both models read
the same mixed prefix. One uniform number serves a position, whichever model draws: with no S_t the response is the
primary model's own, token for token, and with every S_t the intervening model's.

Legend: R rows, T response tokens, N rows whose token is chosen at once, V vocabulary.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from thicket.ops import draws
from thicket.ops.divergence import jensen_shannon
from thicket.ops.log_probs import entropy
from thicket.ops.sampling import gather
from thicket.sampling.board import Turn
from thicket.sampling.decode import Decoded, Decoding, Rows, draw, lockstep

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
    swapped_RT: Tensor
    """True where the intervening model drew."""
    changed_RT: Tensor
    """True where it drew another token than the primary model would have drawn with the same uniform number."""
    scores: Mapping[Score, Tensor]
    """scores_RT of every kind, whichever the rule went by."""

    @property
    def written_RT(self) -> Tensor:
        """True where a token of the response is."""
        lengths_R, swapped_RT = self.decoded.lengths_R, self.swapped_RT
        return torch.arange(swapped_RT.shape[1], device=lengths_R.device) < lengths_R.unsqueeze(1)


def mix(
    primary: Any,
    intervening: Any,
    words: int,
    rows: Rows,
    keys_R: Tensor,
    decoding: Decoding,
    stop_ids: list[int],
    rule: Rule,
) -> Mixed:
    """Writes the rows; row r takes the draws of keys_R[r].

    `words`: tokens of the tokenizer; logits beyond are padding. The temperature and the truncation of `decoding` are
    laid on each model before it draws; scores are of the distributions without them.
    """
    noted: dict[str, Tensor] = {}

    def note(kind: str, turn: Turn, value_N: Tensor) -> None:
        if kind not in noted:
            noted[kind] = value_N.new_zeros((len(keys_R), decoding.most + 1))
        noted[kind][turn.rows_N, turn.step_N] = value_N

    def choose(logits: list[Tensor], turn: Turn) -> tuple[Tensor, Tensor]:
        (own_N, own_log_N), (other_N, other_log_N) = (draw(one_NV, turn, decoding) for one_NV in logits)
        log_p_NV, log_q_NV = (one_NV.float().log_softmax(dim=-1) for one_NV in logits)
        scores = position_scores(log_p_NV, log_q_NV, own_N, turn.keys_N, turn.step_N)
        swapped_N = scores[rule.score] > rule.cut
        for kind, value_N in {"swapped": swapped_N, "changed": swapped_N & (own_N != other_N), **scores}.items():
            note(kind, turn, value_N)
        return torch.where(swapped_N, other_N, own_N), torch.where(swapped_N, other_log_N, own_log_N)

    decoded = lockstep([primary, intervening], words, rows, keys_R, decoding.most, stop_ids, choose)
    longest = decoded.tokens_RT.shape[1]
    swapped_RT, changed_RT = (noted.pop(kind)[:, :longest] for kind in ("swapped", "changed"))
    return Mixed(decoded, swapped_RT, changed_RT, {kind: noted[kind][:, :longest] for kind in get_args(Score)})


def position_scores(
    log_p_NV: Tensor, log_q_NV: Tensor, own_N: Tensor, keys_N: Tensor, step_N: Tensor
) -> dict[Score, Tensor]:
    """What a position is chosen by, scores_N: the higher, the sooner the intervening model draws.

    `log_p_NV` is the primary model's distribution, `own_N` the tokens that it drew. Divergence and entropy are in nats;
    the log-ratio is |log q − log p| of the token that was drawn; the random score lies evenly in (0, 1], so that it is
    above 1 − s at a share s of the positions.
    """
    return {
        # By rounding it can come out above its greatest value, which no threshold at log 2 would stop.
        "divergence": jensen_shannon(log_p_NV, log_q_NV).clamp(max=math.log(2)),
        "random": 1 - draws.uniform(draws.mixed(keys_N ^ POSITIONS), step_N),
        "entropy": entropy(log_p_NV),
        "log_ratio": (gather(log_q_NV, own_N) - gather(log_p_NV, own_N)).abs(),
    }
