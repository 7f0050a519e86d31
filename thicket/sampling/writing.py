"""Which rows wait, which slots they get, and what is told of them while they are written.

A row may have been begun before, by a run that was broken off: its prompt is read together with what there is of its
response, in one pass, and it goes on from there.

Legend: R rows, U prompts, P tokens of the longest, S slots, T response tokens, N slots that change at once.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from thicket.sampling.board import Board
from thicket.sampling.kept_boards import kept
from thicket.sampling.prompts import right_pad
from thicket.sampling.rollouts import Part

LOOKED_AT = {"cpu": 1, "cuda": 8}
"""Steps between two looks at which rows have ended. A look waits for a GPU to catch up."""
TOLD_AT = 32
"""Steps after which a look tells of the new tokens too."""
REFILLED_AT = 4
"""A part of the slots, one in so many, is free before waiting rows fill them: their prompts are read together."""
GIVEN_UP_AT = 2
"""Where none waits, no more than one slot in so many is still used before the others are given up, which copies."""
READ_AT_ONCE = 2**17
"""Tokens, padding included, that are read together: they are in memory twice for a while, in the pass and in the slots,
beside what the pass makes of them, some tens of kB each in the smallest models. Fewer keep a large GPU waiting: with an
eighth of it a search of 16 members at a time takes twice as long on an H200."""

BLOCK = 16
"""Cache positions are attended to in blocks of so many: attention is up to a third slower over odd lengths on a CPU."""


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
    begun: Mapping[int, Part] = field(default_factory=dict)
    """Rows that were begun before and have not ended, and what there is of each."""
    tell: Callable[[list[Part]], None] | None = None
    """Is told of what has been written, `TOLD_AT` steps at a time, and of the rest at the end."""

    def text(self, row: int) -> list[int]:
        """What is read before the row's next token."""
        prompt = self.prompts[self.prompt_R[row]]
        return prompt + self.begun[row].tokens if row in self.begun else prompt


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


class Writing:
    """Rows on their way through a board, which is clear."""

    def __init__(self, board: Board, rows: Rows):
        assert rows.lanes == 1 or not rows.begun, "rows of several models are written in one go"
        self.board, self.rows = board, rows
        of_lane = len(rows.prompt_R) // rows.lanes
        self.waiting = [deque(range(lane * of_lane, (lane + 1) * of_lane)) for lane in range(rows.lanes)]
        self.last, self.steps = 0, 0  # No slot's place is beyond `last`.
        self.looked_at = LOOKED_AT.get(board.device.type, 1)
        self.gives_up = not kept(board)
        self.told = [len(rows.begun[row].tokens) if row in rows.begun else 0 for row in range(len(rows.prompt_R))]
        if rows.begun:
            board.put_back(rows.begun)
            # Like lengths are read together; those that begin come after them, in their order.
            self.waiting[0] = deque(sorted(self.waiting[0], key=lambda row: -len(rows.text(row)) * (row in rows.begun)))

    def step(self) -> None:
        """Each slot reads its last token, and the next one is chosen."""
        self.board.step(min(-(-(self.last + 1) // BLOCK) * BLOCK, self.board.size.length))
        self.last, self.steps = self.last + 1, self.steps + 1

    def under_way(self) -> bool:
        """Whether there is more to write; at a look, free slots go to waiting rows, or are given up."""
        if self.steps % self.looked_at:
            return True
        if self.steps and self.steps % TOLD_AT == 0:
            self.tell()
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
        rows = [[lane.popleft() for _ in range(count)] for lane in self.waiting]
        for part in self._read_together(rows):
            slots = [lane * free.shape[1] + slot for lane, mine in enumerate(places) for slot in mine[:count][part]]
            self._begin(slots, [row for mine in rows for row in mine[part]])

    def _read_together(self, rows: list[list[int]]) -> Iterator[slice]:
        """Runs of each lane's rows that one pass reads; those that were begun before have their own."""
        first, longest, texts = 0, 0, set[tuple[int, int | None]]()
        for place, own in enumerate(zip(*rows, strict=True)):
            length, new = max(len(self.rows.text(row)) for row in own), {self._text(row) for row in own}
            much = max(longest, length) * (len(texts) + len(new - texts)) > READ_AT_ONCE
            if place > first and (much or (own[0] in self.rows.begun) != (rows[0][first] in self.rows.begun)):
                yield slice(first, place)
                first, longest, texts = place, 0, set()
            longest = max(longest, length)
            texts |= new
        yield slice(first, len(rows[0]))

    def _text(self, row: int) -> tuple[int, int | None]:
        """What a row's text is known by: of a prompt that several rows continue, any stands for all. Each lane's model
        reads its own."""
        alone = self.rows.lanes > 1 or row in self.rows.begun
        return self.rows.prompt_R[row], row if alone else None

    def _begin(self, slots: list[int], rows: list[int]) -> None:
        """Rows begin in these slots."""
        texts = [self._text(row) for row in rows]
        of_text = dict(zip(texts, rows, strict=True))
        read, place = list(of_text.values()), {text: place for place, text in enumerate(of_text)}
        places = [place[text] for text in texts]
        device = self.board.device
        slots_N, rows_N, places_N = torch.tensor([slots, rows, places], device=device)
        ids_UP, lengths_U = right_pad([self.rows.text(row) for row in read], device)
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

    def tell(self) -> None:
        """Tells who wants to know of the tokens since it last did."""
        if self.rows.tell is None:
            return
        lengths = self.board.lengths_R[: len(self.told)].tolist()
        new = [row for row, length in enumerate(lengths) if length > self.told[row]]
        if new:
            self.rows.tell(self.board.parts(new, [self.told[row] for row in new]))
            self.told = lengths

    def written(self) -> Decoded:
        board, count = self.board, len(self.rows.prompt_R)
        longest = int(board.lengths_R.max())
        tokens_RT, log_probs_RT = board.tokens_RW[:count, :longest], board.log_probs_RW[:count, :longest]
        # A board that is kept is written on again.
        return Decoded(
            tokens_RT.clone(), log_probs_RT.clone(), board.lengths_R[:count].clone(), board.stopped_R[:count].bool()
        )
