"""A domain as a model meets it: tokenised prompts, what stops a response, and the verifier that judges it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from thicket.config.domain import ScoredDomain
from thicket.config.never_right import Counts, NeverRight
from thicket.domains.item import Item, SplitName, read_items
from thicket.domains.registry import Judge, judge_of
from thicket.sampling.prompts import Tokenizer, encode_prompts, stop_ids
from thicket.sampling.unknown import check_known


@dataclass(frozen=True)
class Environment:
    """One split of a domain, ready for a tokenizer."""

    domain: ScoredDomain
    items: list[Item]
    prompts: list[list[int]]
    """Token ids, one list an item."""
    stop_ids: list[int]
    judge: Judge
    """Responses, each with its item → verdicts."""
    never_right: frozenset[str] = frozenset()
    """Ids of items whose answers can never be right, since they hold characters that no response can."""


def load_environment(
    domain: ScoredDomain, data: Path, split: SplitName, tokenizer: Tokenizer, template: str | None = None
) -> Environment:
    """Reads a split that the data stage wrote into the folder `data`; `template` goes around each prompt.

    Raises: ValueError where the split is missing, empty, a prompt does not fit the domain's window, or no answer can be
    a response's.
    """
    path = data / f"{split}.jsonl"
    if not path.is_file():
        raise ValueError(f"{path}: there is no such file; `dvc repro data-{domain.name}` makes it")
    items = read_items(path)
    if not items:
        raise ValueError(f"{path}: no items")
    asked = [framed(item, domain.prefix, template) for item in items]
    prompts = encode_prompts(tokenizer, asked, domain.window.prompt, domain.name)
    never_right = check_known(domain, split, asked, tokenizer)
    return Environment(domain, items, prompts, stop_ids(tokenizer, domain.stop), judge_of(domain.verifier), never_right)


def count_never_right(environments: Iterable[Environment]) -> Counts:
    """How many of the items of each can never be right, by domain."""
    found = {
        one.domain.name: NeverRight(items=sum(item.id in one.never_right for item in one.items), of=len(one.items))
        for one in environments
    }
    return {domain: count for domain, count in found.items() if count.items}


def framed(item: Item, prefix: str, template: str | None) -> Item:
    """The item with an instruction before its prompt, and a text with {prompt} around it.

    In a chat the instruction leads the system turn, and the text goes around the last turn.
    """
    if not prefix and template is None:
        return item
    around = template or "{prompt}"
    if isinstance(item.prompt, str):
        return replace(item, prompt=prefix + around.replace("{prompt}", item.prompt))
    turns = [dict(turn) for turn in item.prompt]
    turns[-1]["content"] = around.replace("{prompt}", turns[-1]["content"])
    if prefix and turns[0]["role"] == "system":
        turns[0]["content"] = f"{prefix}\n\n{turns[0]['content']}"
    elif prefix:
        turns.insert(0, {"role": "system", "content": prefix})
    return replace(item, prompt=turns)
