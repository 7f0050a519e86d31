"""Characters that a model's tokenizer doesn't know: it reads all of them as one token, and can write none."""

from collections.abc import Callable, Iterable

from thicket import ranks
from thicket.config.domain import ScoredDomain
from thicket.domains.item import Item, SplitName
from thicket.domains.registry import judge_of
from thicket.sampling.prompts import Tokenizer

NAMED = 12
"""Characters that a message names."""
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
    """Says how many prompts and answers of a split hold characters that the tokenizer doesn't know.

    Returns: the ids of the items whose answers can never be right.
    Raises: ValueError where no answer of the split can be written: nothing would ever be rewarded.
    """
    named = f"domain {domain.name}: {split}: "
    prompts = [_prompt(item) for item in items]
    answers = [item.answer for item in items]
    unknown = unknown_characters(tokenizer, [*prompts, *answers])
    if not unknown:
        return frozenset()
    unread = [prompt for prompt in prompts if unknown & set(prompt)]
    if unread:
        wrong = f"{len(unread)} of {len(items)} prompts hold characters that the model's tokenizer doesn't know"
        say(f"{named}{wrong}, which it can't tell apart: {_examples(unknown, unread)}")
    unwritten = [item for item in items if unknown & set(item.answer)]
    never = _never_right(domain, unwritten, unknown)
    if len(never) == len(items):
        wrong = "no answer can be written in characters that the model's tokenizer knows, so no response can be right"
        raise ValueError(f"{named}{wrong}: {_examples(unknown, answers)}")
    if unwritten:
        wrong = f"{len(unwritten)} of {len(items)} answers hold characters that it can't write"
        lost = f" ({len(never)} of them can never be right)" if never else ""
        say(f"{named}{wrong}{lost}: {_examples(unknown, [one.answer for one in unwritten])}")
    return frozenset(item.id for item in never)


def _never_right(domain: ScoredDomain, items: list[Item], unknown: set[str]) -> list[Item]:
    """The items whose answers are right as they are, and wrong without the unknown characters, in any case."""
    if domain.verifier.type not in ONE_RIGHT_TEXT or not items:
        return []
    judge = judge_of(domain.verifier)

    def right(form: Callable[[str], str]) -> list[bool]:
        return [verdict.correct for verdict in judge([(form(item.answer), item) for item in items])]

    def known(text: str) -> str:
        return "".join(character for character in text if character not in unknown)

    whole, *without = map(right, (str, known, lambda text: known(text.lower()), lambda text: known(text.upper())))
    return [item for item, ok, *forms in zip(items, whole, *without, strict=True) if ok and not any(forms)]


def say(text: str) -> None:
    if ranks.first():
        print(f"Note: {text}", flush=True)


def _prompt(item: Item) -> str:
    return item.prompt if isinstance(item.prompt, str) else "\n".join(turn["content"] for turn in item.prompt)


def _examples(unknown: set[str], texts: list[str]) -> str:
    """The unknown characters of the texts, and the first text that has one."""
    found = sorted(unknown & set().union(*texts))
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    first = next(text for text in texts if unknown & set(text))
    return f"{' '.join(map(repr, found[:NAMED]))}{more}; the first: {first[:80]!r}"
