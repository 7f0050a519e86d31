"""The decode loop: one token a step for every slot, over static key-value caches.

It serves rollouts, evaluation, votes and cross-sampling. A slot holds a row, that is one response to one prompt, at its
own length; when the row has ended the slot takes one that waits, and when none waits, the slots that are done with are
given up, or on a board that is kept for later rows, skipped. A step works on tensors of fixed shapes alone and asks the
device for nothing (`thicket.sampling.board`).

Legend: R rows, U prompts, P tokens of the longest, S slots, T response tokens, N slots that change at once, V
vocabulary.
"""

from collections import deque
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
from thicket.sampling.board import Board, Choose, Size, Turn
from thicket.sampling.kept_boards import board_for, kept, put_away
from thicket.sampling.prompts import Tokenizer, right_pad, texts_of

LOOKED_AT = {"cpu": 1, "cuda": 8}
"""Steps between two looks at which rows have ended. A look waits for a GPU to catch up."""
REFILLED_AT = 4
"""A part of the slots, one in so many, is free before waiting rows fill them: their prompts are read together."""
GIVEN_UP_AT = 2
"""Where none waits, no more than one slot in so many is still used before the others are given up, which copies."""

BLOCK = 16
"""Cache positions are attended to in blocks of so many: attention is up to a third slower over odd lengths on a CPU."""


@dataclass(frozen=True)
class Decoding:
    """How tokens are drawn."""

    temperature: float
    """0: the likeliest token, and no draws."""
    top_k: int = 0
    top_p: float = 1.0
    most: int = 1
    """Longest response in tokens (T)."""


@dataclass(frozen=True)
class Rows:
    """What is to be written: row r continues prompts[prompt_R[r]]."""

    prompts: Sequence[list[int]]
    prompt_R: Sequence[int]
    slots: int
    """Rows that are written at once, at most."""
    lanes: int = 1
    """Equal runs of the rows, each of which keeps an equal run of the slots: one for each of the models that the model
    is (`thicket.models.stacked`)."""


@dataclass(frozen=True)
class Decoded:
    """Responses, right-padded with zeros to the longest."""

    tokens_RT: Tensor
    log_probs_RT: Tensor
    """Log-probability of each token under the distribution that it was drawn from (behaviour); 0 in the padding."""
    lengths_R: Tensor
    """Tokens of each response, the one that stopped it included."""
    stopped_R: Tensor
    """True where a stop token ended the response, False where it was truncated."""


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
            writing = _Writing(board, rows)
            writing.fill()
            while writing.under_way():
                writing.step()
            written = writing.written()
        put_away(models, board)
    return written


class _Writing:
    """Which rows wait, and which slots they get."""

    def __init__(self, board: Board, rows: Rows):
        self.board, self.rows = board, rows
        of_lane = len(rows.prompt_R) // rows.lanes
        self.waiting = [deque(range(lane * of_lane, (lane + 1) * of_lane)) for lane in range(rows.lanes)]
        self.last, self.steps = 0, 0  # No slot's place is beyond `last`.
        self.looked_at = LOOKED_AT.get(board.device.type, 1)
        self.gives_up = not kept(board)

    def step(self) -> None:
        """Each slot reads its last token, and the next one is chosen."""
        self.board.step(min(-(-(self.last + 1) // BLOCK) * BLOCK, self.board.size.length))
        self.last, self.steps = self.last + 1, self.steps + 1

    def under_way(self) -> bool:
        """Whether there is more to write; at a look, free slots go to waiting rows, or are given up."""
        if self.steps % self.looked_at:
            return True
        used = self.board.used_S.view(self.rows.lanes, -1).tolist()
        slots, running = len(used[0]), max(map(sum, used))
        if self.waiting[0]:
            if slots - running >= max(1, slots // REFILLED_AT):
                self.fill()
            return True
        if self.gives_up and 0 < running <= slots // GIVEN_UP_AT:
            self._give_up(used, running)
        return running > 0

    def fill(self) -> None:
        """Gives each lane's free slots to its waiting rows, to as many in every lane."""
        free = ~self.board.used_S.view(self.rows.lanes, -1)
        places = [lane.nonzero()[:, 0].tolist() for lane in free]
        count = min(len(self.waiting[0]), *map(len, places))
        slots = [lane * free.shape[1] + slot for lane, mine in enumerate(places) for slot in mine[:count]]
        self._begin(slots, [lane.popleft() for lane in self.waiting for _ in range(count)])

    def _begin(self, slots: list[int], rows: list[int]) -> None:
        """Rows begin in these slots. A prompt that several of them continue is read once."""
        prompts = [self.rows.prompt_R[row] for row in rows]
        if self.rows.lanes == 1:
            read = list(dict.fromkeys(prompts))
            place = {prompt: place for place, prompt in enumerate(read)}
            places = [place[prompt] for prompt in prompts]
        else:  # Each lane's model reads its own, an equal run.
            read, places = prompts, list(range(len(prompts)))
        device = self.board.device
        slots_N, rows_N, places_N = torch.tensor([slots, rows, places], device=device)
        ids_UP, lengths_U = right_pad([self.rows.prompts[prompt] for prompt in read], device)
        self.board.begin(ids_UP, lengths_U, slots_N, rows_N, places_N)
        self.last = int(self.board.at_S.max())

    def _give_up(self, used: list[list[bool]], count: int) -> None:
        """Keeps so many slots of each lane: those in use, and where another lane uses more, some that are not."""
        stay: list[int] = []
        for lane, mine in enumerate(used):
            # Sorting keeps the order of equals.
            first = sorted(range(len(mine)), key=lambda slot: not mine[slot])[:count]
            stay += [lane * len(mine) + slot for slot in sorted(first)]
        self.board.keep(torch.tensor(stay, device=self.board.device))
        self.last = int(self.board.at_S.max())

    def written(self) -> Decoded:
        board, count = self.board, len(self.rows.prompt_R)
        longest = int(board.lengths_R.max())
        tokens_RT, log_probs_RT = board.tokens_RW[:count, :longest], board.log_probs_RW[:count, :longest]
        # A board that is kept is written on again.
        return Decoded(
            tokens_RT.clone(), log_probs_RT.clone(), board.lengths_R[:count].clone(), board.stopped_R[:count].bool()
        )


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
