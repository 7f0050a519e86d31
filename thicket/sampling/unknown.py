"""Characters that a model's tokenizer doesn't know: it reads all of them as one token, and can write none.

Nor can a response hold the character that ends it.
"""

from collections.abc import Callable, Iterable

from thicket import ranks
from thicket.config.domain import ScoredDomain
from thicket.domains.item import Item, SplitName
from thicket.domains.registry import judge_of
from thicket.sampling.prompts import Tokenizer

NAMED = 12
"""Characters that a message names."""
NOT_WRITTEN = "characters that no response can (the stop character, or what the model's tokenizer doesn't know)"
ONE_RIGHT_TEXT = {"exact", "number", "choice"}
"""Verifiers that take an answer's text, or next to no other, for right."""


def unknown_characters(tokenizer: Tokenizer, texts: Iterable[str]) -> set[str]:
    """Those of the texts' characters that the tokenizer doesn't know."""
    unknown, found = tokenizer.unk_token_id, sorted(set().union(*texts))
    if unknown is None or not found:  # A tokenizer of bytes knows everything.
        return set()
    encoded = tokenizer(found, add_special_tokens=False)["input_ids"]
    return {character for character, ids in zip(found, encoded, strict=True) if unknown in ids}


def check_known(domain: ScoredDomain, split: SplitName, items: list[Item], tokenizer: Tokenizer) -> frozenset[str]:
    """Says how many prompts of a split hold characters that the tokenizer doesn't know, and how many answers those or
    the stop character, which no response can hold.

    Returns: the ids of the items whose answers can never be right.
    Raises: ValueError where those are all of the split: nothing would ever be rewarded.
    """
    named = f"domain {domain.name}: {split}: "
    prompts = [_prompt(item) for item in items]
    unknown = unknown_characters(tokenizer, [*prompts, *(item.answer for item in items)])
    unread = [prompt for prompt in prompts if unknown & set(prompt)]
    if unread:
        wrong = f"{len(unread)} of {len(items)} prompts hold characters that the model's tokenizer doesn't know"
        say(f"{named}{wrong}, which it can't tell apart: {_examples(unknown, unread)}")
    barred = unknown | set(domain.stop or "")
    unwritten = [item for item in items if barred & set(item.answer)]
    if not unwritten:
        return frozenset()
    never, examples = _never_right(domain, unwritten, barred), _examples(barred, [item.answer for item in unwritten])
    if len(never) == len(items):
        raise ValueError(f"{named}no response can be right, since every answer holds {NOT_WRITTEN}: {examples}")
    lost = f", {len(never)} of them can never be right" if never else ""
    say(f"{named}{len(unwritten)} of {len(items)} answers hold {NOT_WRITTEN}{lost}: {examples}")
    return frozenset(item.id for item in never)


def _never_right(domain: ScoredDomain, items: list[Item], barred: set[str]) -> list[Item]:
    """The items whose answers are right as they are, and wrong without the barred characters, in any case."""
    if domain.verifier.type not in ONE_RIGHT_TEXT:
        return []
    judge = judge_of(domain.verifier)

    def right(form: Callable[[str], str]) -> list[bool]:
        return [verdict.correct for verdict in judge([(form(item.answer), item) for item in items])]

    def bare(text: str) -> str:
        return "".join(character for character in text if character not in barred)

    whole, *without = map(right, (str, bare, lambda text: bare(text.lower()), lambda text: bare(text.upper())))
    return [item for item, ok, *forms in zip(items, whole, *without, strict=True) if ok and not any(forms)]


def say(text: str) -> None:
    if ranks.first():
        print(f"Note: {text}", flush=True)


def _prompt(item: Item) -> str:
    return item.prompt if isinstance(item.prompt, str) else "\n".join(turn["content"] for turn in item.prompt)


def _examples(characters: set[str], texts: list[str]) -> str:
    """Those of the characters that the texts hold, and the first text that has one."""
    found = sorted(characters & set().union(*texts))
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    first = next(text for text in texts if characters & set(text))
    return f"{' '.join(map(repr, found[:NAMED]))}{more}; the first: {first[:80]!r}"
