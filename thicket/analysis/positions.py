"""Two models' next-token distributions at every position of responses, a chunk of positions at a time.

Legend: B responses, L tokens of prompt and response together, N positions, H hidden width, V vocabulary.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from thicket import ranks
from thicket.analysis.case import Case
from thicket.analysis.sampled import sampled
from thicket.models.head import head_logits, head_of
from thicket.ops.token_divergence import TokenDivergence, of_logits
from thicket.sampling.decode import Decoding
from thicket.sampling.environment import Environment
from thicket.sampling.reading import trained_hidden
from thicket.sampling.rollouts import sequences

ELEMENTS = 2**24
"""Most numbers in a batch's hidden states, and in a model's logits of a chunk of positions."""
ON_GPU = 8
"""A GPU takes so many times as many logits at once, a quarter of a gigabyte in bfloat16: with fewer it waits for
launches."""


@dataclass(frozen=True)
class Written:
    """A response to an item."""

    item: int
    """Its place among the items."""
    prompt: list[int]
    tokens: list[int]
    """At least one."""


@dataclass(frozen=True)
class Positions:
    """Every token of some responses, and what the two models make of its place."""

    item_N: NDArray[np.int64]
    """Place of the item among the items."""
    token_N: NDArray[np.int64]
    """The token that was written."""
    place_N: NDArray[np.int64]
    """Of the token in its response, from 0."""
    length_N: NDArray[np.int64]
    """Tokens of that response."""
    figures: TokenDivergence
    """On the CPU."""

    def figure(self, name: str) -> NDArray[np.float64]:
        """One of the figures, by its name without the suffix."""
        return getattr(self.figures, f"{name}_N").double().numpy()


def written(case: Case, author: Any, environment: Environment, samples: int, decoding: Decoding) -> Iterator[Written]:
    """A model's responses, item by item, as long as the domain allows.

    The draws are those of an evaluation of this seed, the same for every author: equal models write equal responses.
    """
    decoding = replace(decoding, most=environment.domain.window.response)
    for place, group in enumerate(sampled(case, author, environment, decoding, samples)):
        yield from (Written(place, environment.prompts[place], response.tokens) for response in group)


@torch.no_grad()
def measure(base: Any, other: Any, responses: Sequence[Written], words: int, candidates: int, batch: int) -> Positions:
    """The figures at every token of the responses, in order; those of at most `batch` responses are read at once.

    words: tokens of the tokenizer; columns beyond are padding, and take no probability.
    """
    width = max(model.config.get_text_config().hidden_size for model in (base, other))

    def read(mine: Sequence[list[Written]]) -> list[TokenDivergence]:
        # What a GPU has found is moved when all is found: to wait for it sooner would keep the next batch waiting.
        found = [_joined(list(_figures(base, other, rows, words, candidates))) for rows in mine]
        return [TokenDivergence(**{name: value_N.cpu() for name, value_N in vars(one).items()}) for one in found]

    parts = ranks.spread(list(_batches(responses, width, batch)), read)
    lengths_B = [len(one.tokens) for one in responses]
    return Positions(
        item_N=np.repeat([one.item for one in responses], lengths_B),
        token_N=np.concatenate([one.tokens for one in responses]),
        place_N=np.concatenate([np.arange(length) for length in lengths_B]),
        length_N=np.repeat(lengths_B, lengths_B),
        figures=_joined(parts),
    )


def _joined(parts: Sequence[TokenDivergence]) -> TokenDivergence:
    return TokenDivergence(
        **{one.name: torch.cat([getattr(part, one.name) for part in parts]) for one in fields(TokenDivergence)}
    )


def _batches(responses: Sequence[Written], width: int, most: int) -> Iterator[list[Written]]:
    """Runs of at most so many responses whose hidden states fit in a chunk, or of one."""
    rows: list[Written] = []
    longest = 0
    for one in responses:
        longest = max(longest, len(one.prompt) + len(one.tokens))
        if rows and (len(rows) == most or (len(rows) + 1) * longest * width > ELEMENTS):
            yield rows
            rows, longest = [], len(one.prompt) + len(one.tokens)
        rows.append(one)
    if rows:
        yield rows


def _figures(base: Any, other: Any, rows: list[Written], words: int, candidates: int) -> Iterator[TokenDivergence]:
    """The figures of a batch's tokens, chunk by chunk."""
    batch = sequences([one.prompt for one in rows], [one.tokens for one in rows], base.device)
    of_response_BK = batch.mask_BK.bool()
    states = [trained_hidden(model, batch)[of_response_BK] for model in (base, other)]
    size = chunk_of(base.device.type, max(len(head_of(model).weight_VH) for model in (base, other)))
    for of_base_NH, of_other_NH in zip(*(hidden_NH.split(size) for hidden_NH in states), strict=True):
        yield of_logits(head_logits(base, of_base_NH), head_logits(other, of_other_NH), words, candidates)


def chunk_of(kind: str, words: int) -> int:
    """Positions whose logits are made at once."""
    return max(1, ELEMENTS * (ON_GPU if kind == "cuda" else 1) // words)
