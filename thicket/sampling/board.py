"""What is being written, as tensors of fixed places: a step of the decode loop changes nothing but what is in them.

So a step is the same work on the same memory every time, asks the device for nothing, and can be captured: on a GPU a
replay launches its hundreds of kernels as one. Legend: R rows, S slots, W longest response in tokens, and a place more
for what slots without a row have to say, N slots that change at once, U prompts, P tokens of the longest.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from thicket.models.products import precision
from thicket.sampling.rollouts import Part
from thicket.sampling.slots import Reader


@dataclass(frozen=True)
class Size:
    """What a board has room for."""

    slots: int
    rows: int
    prompt: int
    """Tokens of a prompt."""
    response: int
    """Tokens of a response."""

    @property
    def length(self) -> int:
        """Places of a slot's cache."""
        return self.prompt + self.response

    def holds(self, other: "Size") -> bool:
        """Whether it has as many slots, and room for the other's rows."""
        room = self.rows >= other.rows and self.response >= other.response and self.length >= other.length
        return self.slots == other.slots and room


@dataclass(frozen=True)
class Turn:
    """Whose next token is chosen: that of row rows_N[n], with step_N[n] tokens before it, by the draws of keys_N[n].

    A slot without a row to write has the step after the last, where nobody looks.
    """

    rows_N: Tensor
    step_N: Tensor
    keys_N: Tensor


Choose = Callable[[list[Tensor], Turn], tuple[Tensor, Tensor]]
"""(logits_NV of each model, turn) → next tokens and their behaviour log-probabilities, both of shape N."""


class Board:
    """The slots, and what has been written so far."""

    def __init__(
        self, size: Size, count: int, words: int | None, stop_ids: Sequence[int], choose: Choose, device: torch.device
    ):
        """`count`: models that read; `words`: of the vocabulary, those that count; None: all."""
        self.size, self.choose, self.device = size, choose, device
        self.readers = [Reader(size.slots, size.length, words) for _ in range(count)]
        self.stops = torch.tensor(stop_ids, dtype=torch.long, device=device)
        self.tokens_RW = torch.zeros((size.rows, size.response + 1), dtype=torch.long, device=device)
        self.log_probs_RW = torch.zeros((size.rows, size.response + 1), device=device)
        self.lengths_R, self.stopped_R, self.keys_R = torch.zeros((3, size.rows), dtype=torch.long, device=device)
        self.rows_S, self.tokens_S, self.at_S, self.step_S = torch.zeros(
            (4, size.slots), dtype=torch.long, device=device
        )
        self.most = torch.zeros((), dtype=torch.long, device=device)
        self._graph: Any = None
        self.captures = device.type == "cuda"
        """Whether steps are to be captured."""

    @property
    def nbytes(self) -> int:
        """Of the caches, which are nearly all of it."""
        return sum(reader.nbytes for reader in self.readers)

    @contextmanager
    def opened(self, models: Sequence[Any]) -> Iterator[None]:
        """Within the block these models read."""
        with ExitStack() as stack:
            for reader, model in zip(self.readers, models, strict=True):
                stack.enter_context(reader.opened(model))
            yield

    def clear(self, keys_R: Tensor, most: int) -> None:
        """Nothing is written, and no slot is used: the first of the rows take these keys, and so many tokens each."""
        self.keys_R[: len(keys_R)] = keys_R
        self.most.fill_(most)
        self.step_S.fill_(most)
        for one in (self.tokens_RW, self.log_probs_RW, self.lengths_R, self.stopped_R, self.rows_S, self.at_S):
            one.zero_()

    def put_back(self, begun: Mapping[int, Part]) -> None:
        """Rows of which there is something already."""
        for row, part in begun.items():
            count = len(part.tokens)
            self.tokens_RW[row, :count] = torch.tensor(part.tokens, device=self.device)
            self.log_probs_RW[row, :count] = torch.tensor(part.log_probs, device=self.device)
            self.lengths_R[row] = count

    def parts(self, rows: list[int], first: list[int]) -> list[Part]:
        """What has been written of these rows from a place of each on."""
        rows_N, first_N = torch.tensor([rows, first], device=self.device)
        count_N = self.lengths_R[rows_N] - first_N
        place_T = torch.arange(int(count_N.max()), device=self.device)
        at_NT = (first_N.unsqueeze(1) + place_T).clamp(max=self.size.response), rows_N.unsqueeze(1)
        tokens, log_probs = (table_RW[at_NT[1], at_NT[0]].tolist() for table_RW in (self.tokens_RW, self.log_probs_RW))
        counts, stopped = count_N.tolist(), self.stopped_R[rows_N].tolist()
        return [
            Part(row, first[n], tokens[n][: counts[n]], log_probs[n][: counts[n]], bool(stopped[n]))
            for n, row in enumerate(rows)
        ]

    @property
    def used_S(self) -> Tensor:
        """Whether a slot has a row to write."""
        return self.step_S < self.most

    def begin(self, ids_UP: Tensor, lengths_U: Tensor, slots_N: Tensor, rows_N: Tensor, prompts_N: Tensor) -> None:
        """These slots begin with these rows, each after its prompt and what there is of its response."""
        logits = []
        for reader in self.readers:
            logits_UV, cache = reader.read_prompts(ids_UP, lengths_U)
            reader.store(cache, slots_N, prompts_N)
            logits.append(logits_UV[prompts_N])
        self.rows_S[slots_N], self.at_S[slots_N] = rows_N, lengths_U[prompts_N]
        turn = Turn(rows_N, self.lengths_R[rows_N], self.keys_R[rows_N])
        self.tokens_S[slots_N], self.step_S[slots_N] = self._chosen(logits, turn)

    def step(self, reach: int) -> None:
        """Each slot reads its last token, and the next one is chosen. No place is at `reach` or beyond."""
        if self._graph is not None:
            self._graph.replay()
            return
        self._step(reach)
        if self.captures:
            self._capture()

    def keep(self, slots_N: Tensor) -> None:
        """Gives up all other slots."""
        for reader in self.readers:
            reader.keep(slots_N)
        of_slots = (self.rows_S, self.tokens_S, self.at_S, self.step_S)
        self.rows_S, self.tokens_S, self.at_S, self.step_S = (one_S[slots_N] for one_S in of_slots)
        self._graph = None

    def _step(self, reach: int) -> None:
        used_S = self.used_S
        logits = [reader.read(self.tokens_S, self.at_S, reach, used_S) for reader in self.readers]
        self.at_S += used_S
        token_S, step_S = self._chosen(logits, Turn(self.rows_S, self.step_S, self.keys_R[self.rows_S]))
        self.tokens_S.copy_(token_S)
        self.step_S.copy_(step_S)

    def _chosen(self, logits: list[Tensor], turn: Turn) -> tuple[Tensor, Tensor]:
        """Writes down the next tokens; these, and the steps after them."""
        token_N, log_prob_N = self.choose(logits, turn)
        self.tokens_RW[turn.rows_N, turn.step_N] = token_N
        self.log_probs_RW[turn.rows_N, turn.step_N] = log_prob_N
        written_N, stops_N = turn.step_N < self.most, (token_N.unsqueeze(1) == self.stops).any(dim=1)
        self.lengths_R.index_add_(0, turn.rows_N, written_N.long())
        self.stopped_R.index_add_(0, turn.rows_N, (written_N & stops_N).long())
        return token_N, torch.where(stops_N, self.most, turn.step_N + 1).clamp(max=self.most)

    def _capture(self) -> None:
        """The step as a graph; nothing runs yet. What can't be captured (experts that sort their rows) stays as it is.

        What autocast has cast and kept is freed when it ends, and a graph would read it still: nothing is kept here.
        """
        graph, side = torch.cuda.CUDAGraph(), torch.cuda.Stream(self.device)
        dtype = precision(self.device)
        side.wait_stream(torch.cuda.current_stream(self.device))
        casting = torch.autocast("cuda", dtype, enabled=dtype is not None, cache_enabled=False)
        try:
            with torch.cuda.stream(side), casting:
                graph.capture_begin(capture_error_mode="thread_local")
                try:
                    self._step(self.size.length)
                finally:
                    graph.capture_end()
        except RuntimeError:
            self.captures = False
            return
        torch.cuda.current_stream(self.device).wait_stream(side)
        self._graph = graph
