"""Banks: planted ones, and a small model with items that its neighbours answer differently."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from small_models import random_llama

from thicket.analysis.bank import Bank
from thicket.analysis.case import Case, Subject
from thicket.config.domain import ScoredDomain, Window
from thicket.config.verifier import ExactVerifier
from thicket.domains.item import Item
from thicket.domains.registry import Answered
from thicket.domains.verdict import Verdict
from thicket.models.characters import character_tokenizer
from thicket.models.folder import save_model
from thicket.sampling.environment import Environment
from thicket.sampling.prompts import stop_ids

TOKENIZER: Any = character_tokenizer()
Judge = Callable[[Sequence[Answered]], list[Verdict]]


def planted(counts: Mapping[str, Sequence[int]], items: int, own: Mapping[str, int], sigma: float = 0.01) -> Bank:
    """A bank of one σ, from how many of the items each perturbation and the model itself answer."""

    def row(count: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
        return np.arange(items) < count

    correct = {name: np.stack([row(count) for count in column])[None] for name, column in counts.items()}
    return Bank([sigma], correct, {name: row(count) for name, count in own.items()})


def even(answered: Sequence[Answered]) -> list[Verdict]:
    """A verdict on any text: half of all are right."""
    return [Verdict(sum(map(ord, text)) % 2 == 0) for text, _ in answered]


def odd(answered: Sequence[Answered]) -> list[Verdict]:
    return [Verdict(not verdict.correct) for verdict in even(answered)]


def environment(name: str, prompts: Sequence[str], judge: Judge = even) -> Environment:
    domain = ScoredDomain(name=name, verifier=ExactVerifier(type="exact"), window=Window(prompt=8, response=6))
    items = [Item(f"{place:016x}", prompt, "", 1) for place, prompt in enumerate(prompts)]
    encoded = [TOKENIZER(prompt)["input_ids"] for prompt in prompts]
    return Environment(domain, items, encoded, stop_ids(TOKENIZER, None), judge)


def small_case(folder: Path, told: list[tuple[float, str]] | None = None, device: str = "cpu") -> Case:
    """Two domains of 12 and 9 items."""
    # Logits lie apart: no two tokens are near a tie, so that rounding decides nothing.
    model = random_llama(3, 30, vocab_size=len(TOKENIZER))
    save_model(model, TOKENIZER, folder / "model")
    asked = [
        environment("file", [f"{n}{n + 1}=" for n in range(12)]),
        environment("b", [f"{n}=" for n in range(9)], odd),
    ]
    tell = (lambda share, text: None) if told is None else lambda share, text: told.append((share, text))
    return Case([Subject("small", folder / "model")], asked, TOKENIZER, 5, 8, device, folder / "scratch", tell)
