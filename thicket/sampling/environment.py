"""A domain as a model meets it: tokenised prompts, what stops a response, and the verifier that judges it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from thicket.config.domain import ScoredDomain
from thicket.domains.item import Item, SplitName, read_items
from thicket.domains.registry import verifier_of
from thicket.sampling.prompts import Tokenizer, encode_prompts, stop_ids


@dataclass(frozen=True)
class Environment:
    """One split of a domain, ready for a tokenizer."""

    domain: ScoredDomain
    items: list[Item]
    prompts: list[list[int]]
    """Token ids, one list an item."""
    stop_ids: list[int]
    verify: Callable[[str, Item], bool]
    """(response's text, item) → correct?"""


def load_environment(domain: ScoredDomain, data: Path, split: SplitName, tokenizer: Tokenizer) -> Environment:
    """Reads a split that the data stage wrote into the folder `data`.

    Raises: ValueError where the split is missing, empty, or a prompt does not fit the domain's window.
    """
    path = data / f"{split}.jsonl"
    if not path.is_file():
        raise ValueError(f"{path}: there is no such file; `dvc repro data-{domain.name}` makes it")
    items = read_items(path)
    if not items:
        raise ValueError(f"{path}: no items")
    prompts = encode_prompts(tokenizer, items, domain.window.prompt, domain.name)
    return Environment(domain, items, prompts, stop_ids(tokenizer, domain.stop), verifier_of(domain.verifier))
