"""Batches that are interrupted at random, by a sampler that draws anew each time: what becomes of responses' lengths.

Each token is the last one with probability 1/10, whatever went before, so that the length's distribution is known. A
batch of four is interrupted with probability 1/10 before every step.
"""

import random
from pathlib import Path
from typing import Any

import pytest
import torch
from fake_vllm import TOKENIZER
from small_models import random_llama

from thicket.ops import draws
from thicket.sampling import writing
from thicket.sampling.board import Board
from thicket.sampling.decode import Decoding
from thicket.sampling.rollout_log import RolloutLog
from thicket.sampling.rollouts import Part, Request
from thicket.sampling.sampler import TorchSampler

STOPS, CHANCE = [2, 3], 0.1
"""Of 20 words."""
MOST, TOGETHER, BATCHES = 100, 4, 40
MEAN = (1 - (1 - CHANCE) ** MOST) / CHANCE
"""Of min(length, MOST)."""


class Interrupted(BaseException):
    pass


class KeepsEnded(RolloutLog):
    """The naive way: what had ended is kept, and all others are drawn again from their start."""

    def known(self, name: bytes) -> dict[int, Part]:
        return {row: part for row, part in super().known(name).items() if part.stopped}


class KeepsNothing(RolloutLog):
    """The other naive way: a batch is drawn anew until one comes through."""

    def known(self, name: bytes) -> dict[int, Part]:
        return {}


def lengths(log: type[RolloutLog], folder: Path) -> list[int]:
    """Of all responses, each batch of which is tried until it is there."""
    model = random_llama()
    model.lm_head.weight.data.zero_()  # all words are equally likely
    found = []
    for batch in range(BATCHES):
        requests = [Request([5, 6], draws.key(batch), TOGETHER)]
        group = None
        while group is None:
            sampler = TorchSampler(TOGETHER, log(folder / str(batch)))
            try:
                (group,) = sampler.respond(model, TOKENIZER, requests, Decoding(1.0, most=MOST), STOPS, None)
            except Interrupted:
                continue
        found += [len(response.tokens) for response in group]
    return found


@pytest.mark.parametrize(("log", "biased"), [(RolloutLog, False), (KeepsEnded, True), (KeepsNothing, True)])
def test_interruptions_shorten_responses_but_for_the_log(
    log: type[RolloutLog], biased: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance, drawing, step = random.Random(0), torch.Generator().manual_seed(0), Board.step
    interrupted = 0

    def unsteady(self: Board, reach: int) -> None:
        nonlocal interrupted
        if chance.random() < CHANCE:
            interrupted += 1
            raise Interrupted
        step(self, reach)

    def fresh(keys_B: torch.Tensor, step: Any) -> torch.Tensor:
        """As on another machine, or by another engine: the same names come to other draws."""
        return torch.rand(len(keys_B), generator=drawing, dtype=torch.float64)

    monkeypatch.setattr(writing, "TOLD_AT", 1)
    monkeypatch.setattr(Board, "step", unsteady)
    monkeypatch.setattr(draws, "uniform", fresh)
    found = torch.tensor(lengths(log, tmp_path), dtype=torch.float64)
    assert interrupted > BATCHES
    z = float((found.mean() - MEAN) / (found.std() / len(found) ** 0.5))
    assert z < -5 if biased else abs(z) < 2.5
