"""Several small models as a case of an analysis, and what it found as the files that pictures are drawn from."""

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from banks import TOKENIZER, environment, even, odd
from small_models import random_llama
from torch import Tensor

from thicket.analysis.case import Case, Subject
from thicket.analysis.found import Found, Statistic
from thicket.models.folder import save_model
from thicket.reporting.jsonfile import plain
from thicket.reporting.pictures.draw import draw
from thicket.statistics.ratios import ratio

DOMAINS = {"sort": 12, "odd": 9}
"""With so many items."""


def small(seed: int, **sizes: Any) -> Any:
    """Logits lie apart: no two tokens are near a tie, so that rounding decides nothing."""
    return random_llama(seed, 30, vocab_size=len(TOKENIZER), **sizes)


def near(model: Any, seed: int, spread: float) -> Any:
    """A copy that was moved a little, everywhere."""
    other, generator = type(model)(model.config), torch.Generator().manual_seed(seed)
    other.load_state_dict(
        {
            name: one + spread * torch.randn(one.shape, generator=generator) * one.std(correction=0).clamp(min=0.1)
            for name, one in model.state_dict().items()
        }
    )
    return other.eval()


def case_of(folder: Path, models: Mapping[str, Any], batch: int = 8) -> Case:
    """The models in this order; two domains of 12 and 9 items, whose verdicts on a text are opposite."""
    for name, model in models.items():
        save_model(model, TOKENIZER, folder / name)
    asked = [
        environment(name, [f"{n}{n + 1}=" for n in range(items)], judge)
        for (name, items), judge in zip(DOMAINS.items(), (even, odd), strict=True)
    ]
    subjects = [Subject(name, folder / name) for name in models]
    return Case(subjects, asked, TOKENIZER, 5, batch, "cpu", folder / "scratch", lambda share, text: None)


def of(found: Found, name: str, domain: str, about: str) -> Statistic:
    """The one statistic of that name, domain and model or pair."""
    (one,) = (one for one in found.statistics if (one.name, one.domain, one.of) == (name, domain, about))
    return one


def value(one: Statistic) -> float | None:
    return ratio(one.amounts_U, one.weights_U)


def drawn(kind: str, found: Found, case: Case, folder: Path) -> str:
    """The picture as SVG, from files as a stage writes them."""
    folder.mkdir(parents=True)
    statistics = [
        {
            **{key: getattr(one, key) for key in ("name", "domain", "of")},
            **dict.fromkeys(("value", "low", "high"), value(one)),
        }
        for one in found.statistics
    ]
    result = {
        "name": kind,
        "models": [subject.name for subject in case.models],
        "domains": [one.domain.name for one in case.environments],
        "statistics": statistics,
        "figures": plain(found.figures),
    }
    (folder / "result.json").write_text(json.dumps(result, allow_nan=False), encoding="utf-8")
    for name, rows in found.tables.items():
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]) if rows else [])
            writer.writeheader()
            writer.writerows(rows)
    draw(kind, folder)
    return (folder / "picture.svg").read_text(encoding="utf-8")


def mixed(one: Any, other: Any, alpha: float) -> Any:
    """α·W_one + (1−α)·W_other, written out."""
    made, second = type(one)(one.config), other.state_dict()
    state: dict[str, Tensor] = {
        name: (alpha * tensor.double() + (1 - alpha) * second[name].double()).float()
        for name, tensor in one.state_dict().items()
    }
    made.load_state_dict(state)
    made.generation_config = one.generation_config
    return made.eval()
