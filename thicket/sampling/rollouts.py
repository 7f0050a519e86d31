"""Rollouts: responses of a model to prompts, as the records that training and evaluation read.

Legend: B rows, L tokens of prompt and response together, T response tokens.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Request:
    """A prompt, and how many responses to it are asked for."""

    prompt: list[int]
    key: int
    """Key of the prompt's draws; response g takes the draws of (key, g)."""
    responses: int = 1


@dataclass(frozen=True)
class Response:
    """One response."""

    tokens: list[int]
    """The token that stopped it included."""
    log_probs: list[float]
    """Behaviour log-probability of each token."""
    stopped: bool
    """False where the window cut it off."""
    text: str
    """The text before the stop."""


@dataclass(frozen=True)
class Part:
    """Tokens of a response that follow one another."""

    row: int
    """Which response it is a part of, among those that are written together."""
    first: int
    """The place of its first token in the response."""
    tokens: list[int]
    log_probs: list[float]
    stopped: bool
    """Whether a stop token ends it, and so the response."""


@dataclass(frozen=True)
class Sequences:
    """Prompts with their responses, right-padded: under a causal mask no other mask is needed.

    What is trained are the hidden states at `positions_K`, which predict the response tokens of all rows; K is T where
    all prompts are of one length.
    """

    ids_BL: Tensor
    positions_K: Tensor
    targets_BK: Tensor
    mask_BK: Tensor
    """1.0 where the target is a response token, as float."""
    lengths_B: Tensor
    """Tokens of prompt and response."""
    row_N: Tensor | None = None
    """Of picked positions, the row of `ids_BL` that each lies in; targets and mask are then 1N, and positions N."""

    def __len__(self) -> int:
        return self.ids_BL.shape[0]

    def rows(self, index_N: Tensor) -> "Sequences":
        """Some of the rows, cut to the longest of them: the first of the positions, as many as it needs."""
        lengths_N = self.lengths_B[index_N]
        longest = int(lengths_N.max())
        kept = int((self.positions_K < longest - 1).sum())
        return Sequences(
            ids_BL=self.ids_BL[index_N, :longest],
            positions_K=self.positions_K[:kept],
            targets_BK=self.targets_BK[index_N, :kept],
            mask_BK=self.mask_BK[index_N, :kept],
            lengths_B=lengths_N,
        )

    def picked(self, chosen_BK: Tensor) -> "Sequences":
        """Some of the trained positions, all in one row of N."""
        row_N, column_N = chosen_BK.nonzero(as_tuple=True)
        targets_1N, mask_1N = self.targets_BK[row_N, column_N].unsqueeze(0), self.mask_BK[row_N, column_N].unsqueeze(0)
        return Sequences(self.ids_BL, self.positions_K[column_N], targets_1N, mask_1N, self.lengths_B, row_N)


def sequences(prompts: list[list[int]], responses: list[list[int]], device: torch.device | str) -> Sequences:
    """Pads each prompt with its response."""
    lengths = [len(p) + len(r) for p, r in zip(prompts, responses, strict=True)]
    first, longest = min(map(len, prompts)) - 1, max(lengths)
    ids_BL = torch.zeros((len(prompts), longest), dtype=torch.long)
    mask_BL = torch.zeros((len(prompts), longest))
    for row, (prompt, response) in enumerate(zip(prompts, responses, strict=True)):
        ids_BL[row, : lengths[row]] = torch.tensor(prompt + response)
        mask_BL[row, len(prompt) : lengths[row]] = 1.0
    return Sequences(
        ids_BL=ids_BL.to(device),
        positions_K=torch.arange(first, longest - 1, device=device),
        targets_BK=ids_BL[:, first + 1 :].to(device),
        mask_BK=mask_BL[:, first + 1 :].to(device),
        lengths_B=torch.tensor(lengths, device=device),
    )
