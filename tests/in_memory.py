"""Cases for analyses whose models are in memory, with prompts and a judge of the test's own."""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from small_models import random_llama
from transformers import LlamaForCausalLM

from thicket.analysis.case import Case, Subject
from thicket.analysis.found import Found, Row
from thicket.config.domain import ScoredDomain, Window
from thicket.config.verifier import ExactVerifier
from thicket.domains.item import Item, item_id
from thicket.domains.verdict import Verdict
from thicket.models.characters import character_tokenizer
from thicket.reporting.jsonfile import plain
from thicket.sampling.environment import Environment
from thicket.sampling.prompts import stop_ids
from thicket.statistics.ratios import ratio

TOKENIZER: Any = character_tokenizer()
WORDS = len(TOKENIZER)
SEED = 5


@dataclass(frozen=True)
class Loaded(Subject):
    """A model that is in memory already."""

    model: Any = None

    def load(self, device: str) -> Any:
        return self.model.to(device)


def model(seed: int, spread: float = 8.0) -> LlamaForCausalLM:
    return random_llama(seed, spread, vocab_size=WORDS)


def texts(count: int, first: int = 0) -> list[str]:
    """Prompts, all different."""
    return [f"sort {place}=" for place in range(first, first + count)]


def environment(
    name: str, prompts: Sequence[str], correct: Callable[[str], bool] = lambda text: False, window: int = 6
) -> Environment:
    """A domain in which a response is correct where `correct` says so of its text."""
    domain = ScoredDomain(
        name=name, verifier=ExactVerifier(type="exact"), stop="\n", window=Window(prompt=20, response=window)
    )
    return Environment(
        domain=domain,
        items=[Item(item_id(text), text, "", 1) for text in prompts],
        prompts=[TOKENIZER(text)["input_ids"] for text in prompts],
        stop_ids=stop_ids(TOKENIZER, "\n"),
        judge=lambda answered: [Verdict(correct(response)) for response, _ in answered],
    )


def written(found: Found, case: Case) -> tuple[dict[str, Any], dict[str, list[dict[str, str]]]]:
    """What a picture is drawn from: the result as JSON gives it back, and the tables as CSV does."""
    statistics = [
        {
            "name": one.name,
            "domain": one.domain,
            "of": one.of,
            "value": ratio(one.amounts_U, one.weights_U),
            "units": len(one.amounts_U),
        }
        for one in found.statistics
    ]
    result = {
        "models": [one.name for one in case.models],
        "domains": [one.domain.name for one in case.environments],
        "statistics": statistics,
        "figures": plain(found.figures),
    }
    tables = {name: _read_back(rows) for name, rows in found.tables.items()}
    return json.loads(json.dumps(result, allow_nan=False)), tables


def _read_back(rows: Sequence[Row]) -> list[dict[str, str]]:
    file = io.StringIO()
    if rows:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return list(csv.DictReader(io.StringIO(file.getvalue())))


def case_of(
    models: Mapping[str, Any], environments: Sequence[Environment], batch: int = 16, device: str = "cpu"
) -> Case:
    subjects = [Loaded(name, Path(), one) for name, one in models.items()]
    return Case(subjects, environments, TOKENIZER, SEED, batch, device, Path(), lambda share, text: None)
