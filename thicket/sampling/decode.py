"""The decode loop: one token a step for every slot, over static key-value caches.

It serves rollouts, evaluation, votes and cross-sampling. A slot holds a row, that is one response to one prompt, at its
own length; when the row has ended the slot takes one that waits, and when none waits, the slots that are done with are
given up, or on a board that is kept for later rows, skipped. A step works on tensors of fixed shapes alone and asks the
device for nothing (`thicket.sampling.board`).

Legend: R rows, U prompts, P tokens of the longest, S slots, T response tokens, N slots that change at once, V
vocabulary.
"""

from collections.abc import Hashable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from thicket.models.fused import fused
from thicket.models.pooled import Pooled, pooled, voices
from thicket.models.products import cast_once
from thicket.models.stacked import is_stacked
from thicket.ops import draws
from thicket.ops.sampling import gather, inverse_cdf, warped_log_probs
from thicket.sampling.board import Choose, Size, Turn
from thicket.sampling.kept_boards import board_for, put_away
from thicket.sampling.prompts import Tokenizer, texts_of
from thicket.sampling.writing import Decoded, Rows, Writing


@dataclass(frozen=True)
class Decoding:
    """How tokens are drawn."""

    temperature: float
    """0: the likeliest token, and no draws."""
    top_k: int = 0
    top_p: float = 1.0
    most: int = 1
    """Longest response in tokens (T)."""


@torch.no_grad()
def decode(
    model: PreTrainedModel | Pooled, rows: Rows, keys_R: Tensor, decoding: Decoding, stop_ids: list[int]
) -> Decoded:
    """Writes the rows; row r takes the draws of keys_R[r]."""
    shares = [share for _, share in voices(model)]

    def choose(logits: list[Tensor], turn: Turn) -> tuple[Tensor, Tensor]:
        return draw(pooled(logits, shares), turn, decoding)

    models, words = [one for one, _ in voices(model)], getattr(model, "words", None)
    name = (*shares, decoding.temperature, decoding.top_k, decoding.top_p)
    return lockstep(models, words, rows, keys_R, decoding.most, stop_ids, choose, name)


@torch.no_grad()
def lockstep(
    models: Sequence[Any],
    words: int | None,
    rows: Rows,
    keys_R: Tensor,
    most: int,
    stop_ids: list[int],
    choose: Choose,
    name: Hashable = None,
) -> Decoded:
    """Writes the rows, each by at most so many tokens; every model reads all that is chosen.

    `words`: of the vocabulary, those that count; None: all. `name`: what `choose` does, where it uses nothing else than
    what it is given, so that what it does can be captured once for many calls; None: it uses other things too.
    """
    with ExitStack() as stack:
        if any(map(is_stacked, models)):  # by copies that are gone after it
            name = None
        for model in models:
            stack.enter_context(fused(model))
        stack.enter_context(cast_once(models))
        of_lane = len(rows.prompt_R) // rows.lanes
        slots = rows.lanes * max(1, min(rows.slots // rows.lanes, of_lane))
        size = Size(slots, len(rows.prompt_R), max(map(len, rows.prompts)), most)
        board = board_for(models, size, words, stop_ids, choose, name)
        with board.opened(models):
            board.clear(keys_R, most)
            writing = Writing(board, rows)
            writing.fill()
            while writing.under_way():
                writing.step()
            writing.tell()
            written = writing.written()
        put_away(models, board)
    return written


def ends(models: Sequence[Any], stop_ids: Sequence[int]) -> list[int]:
    """Tokens that end a response: `stop_ids`, and the ends of a text that the models themselves declare."""
    return sorted({*stop_ids, *(end for model in models for end in declared_ends(model.generation_config))})


def declared_ends(config: Any) -> list[int]:
    """Tokens that end a text, as a generation config says."""
    declared = getattr(config, "eos_token_id", None)
    return [] if declared is None else [declared] if isinstance(declared, int) else list(declared)


def texts(decoded: Decoded, tokenizer: Tokenizer, stop: str | None) -> list[str]:
    """The responses as text, up to the stop character."""
    rows = zip(decoded.tokens_RT.tolist(), decoded.lengths_R.tolist(), strict=True)
    return texts_of([tokens[:length] for tokens, length in rows], tokenizer, stop)


def draw(logits_NV: Tensor, turn: Turn, decoding: Decoding) -> tuple[Tensor, Tensor]:
    """Tokens and their behaviour log-probabilities, both of shape N; greedy decoding has log-probability 0."""
    if decoding.temperature == 0:
        token_N = logits_NV.argmax(dim=-1)
        return token_N, torch.zeros(token_N.shape, device=token_N.device)
    if logits_NV.is_cuda and decoding.top_k == 0 and decoding.top_p == 1:
        from thicket.ops.kernels.draw import draw as draw_kernel

        return draw_kernel(logits_NV, turn.keys_N, turn.step_N, decoding.temperature)
    log_probs_NV = warped_log_probs(logits_NV, decoding.temperature, decoding.top_k, decoding.top_p)
    token_N = inverse_cdf(log_probs_NV, draws.uniform(turn.keys_N, turn.step_N))
    return token_N, gather(log_probs_NV, token_N)
