"""Which responses of a training are kept for people to read: few, and more often in its beginning."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from thicket.config.shown import Shown
from thicket.methods.texts import Text
from thicket.sampling.prompts import Tokenizer

RESPONSES = 4
"""That are kept of a domain and step."""
CHARACTERS = 2000
"""That are kept of a text."""

Item = TypeVar("Item")


def is_shown(step: int) -> bool:
    """Whether responses of a step, counted from 1, are kept: of the first, and as often as their number has doubled."""
    return step & (step - 1) == 0


def first_of_each(items: Iterable[Item], domain: Callable[[Item], str]) -> list[Item]:
    """The first items of each domain, the domains in the order in which they come."""
    kept: dict[str, list[Item]] = {}
    for item in items:
        of_domain = kept.setdefault(domain(item), [])
        if len(of_domain) < RESPONSES:
            of_domain.append(item)
    return [item for of_domain in kept.values() for item in of_domain]


def of_first_prompts(rollouts: Sequence[Item], group: int, domain: Callable[[Item], str]) -> list[Item]:
    """The first responses to the first prompt of each domain; rollouts come in groups of one prompt."""
    kept: dict[str, list[Item]] = {}
    for first in range(0, len(rollouts), group):
        kept.setdefault(domain(rollouts[first]), list(rollouts[first : first + min(group, RESPONSES)]))
    return [item for of_domain in kept.values() for item in of_domain]


def shown_texts(step: int, texts: Iterable[Text], tokenizer: Tokenizer) -> Iterator[Shown]:
    """The first texts of each domain among those that a step imitates, with the tokens that end them."""
    for text in first_of_each(texts, lambda one: one.domain):
        yield Shown(
            step=step,
            domain=text.domain,
            prompt=readable(tokenizer, text.prompt),
            response=cut(tokenizer.decode(text.response)),
            reward=None,
            tokens=len(text.response),
            writer=text.writer,
            correct=text.correct,
        )


def readable(tokenizer: Tokenizer, prompt: list[int]) -> str:
    """A prompt's text, without special tokens but for what stands for characters that the tokenizer doesn't know."""
    ends = {tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id}  # One of them may be its `unk` too.
    left_out = (set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}) | ends
    return cut(tokenizer.decode([token for token in prompt if token not in left_out]))


def cut(text: str) -> str:
    """The beginning of a text."""
    return text if len(text) <= CHARACTERS else f"{text[:CHARACTERS]}…"
