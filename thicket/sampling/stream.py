"""One response, token by token as it is written: for a person who reads along."""

from collections.abc import Iterator
from contextlib import ExitStack

import torch
from torch import Tensor
from transformers import PreTrainedModel

from thicket.models.fused import fused
from thicket.models.pooled import Pooled, pooled, voices
from thicket.models.products import cast_once
from thicket.ops import draws
from thicket.sampling.board import Board, Size, Turn
from thicket.sampling.decode import Decoding, draw, ends
from thicket.sampling.prompts import right_pad
from thicket.sampling.writing import BLOCK


@torch.no_grad()
def stream(
    model: PreTrainedModel | Pooled, prompt: list[int], key: int, decoding: Decoding, stop_ids: list[int]
) -> Iterator[int]:
    """The tokens of a response, the one that stops it included: those that `decode` draws with the same key."""
    models, shares = zip(*voices(model), strict=True)

    def choose(logits: list[Tensor], turn: Turn) -> tuple[Tensor, Tensor]:
        return draw(pooled(logits, shares), turn, decoding)

    with ExitStack() as stack:
        for one in models:
            stack.enter_context(fused(one))
        stack.enter_context(cast_once(models))
        size = Size(1, 1, len(prompt), decoding.most)
        words, device = getattr(model, "words", None), models[0].device
        board = Board(size, len(models), words, ends([model], stop_ids), choose, device)
        stack.enter_context(board.opened(models))
        board.clear(draws.keys_tensor([key], device), decoding.most)
        ids_UP, lengths_U = right_pad([prompt], device)
        first = torch.zeros(1, dtype=torch.long, device=device)
        board.begin(ids_UP, lengths_U, first, first, first)
        yield int(board.tokens_S[0])
        last = len(prompt)
        while bool(board.used_S[0]):
            board.step(min(-(-(last + 1) // BLOCK) * BLOCK, size.length))
            last += 1
            yield int(board.tokens_S[0])
