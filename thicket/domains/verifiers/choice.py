"""The first or last option that stands alone in the response equals the answer."""

import re

from thicket.config.verifier import ChoiceVerifier
from thicket.domains.item import Item


def verify(config: ChoiceVerifier, response: str, item: Item) -> bool:
    """Correct if the first (or last) option that stands alone is the answer's.

    Alone is an option that isn't joined to a word, directly or by a hyphen or apostrophe: the A of "(A)", "A." and
    "**A**", not that of "Answer", "A-level" or "A's". Letters count in the case in which the config gives them.
    Raises: ValueError where the item's answer is not one of the options.
    """
    answer = _option(config, item.answer)
    if answer is None:
        allowed = ", ".join(config.options)
        raise ValueError(f"item {item.id}: the answer {item.answer!r:.60} is not an option; allowed: {allowed}")
    return extract(config, response, item) == answer


def extract(config: ChoiceVerifier, response: str, item: Item) -> str | None:
    """The option that counts, as the config writes it; None where none stands alone."""
    alternatives = "|".join(map(re.escape, config.options))
    flags = re.NOFLAG if isinstance(config.options, str) else re.IGNORECASE
    found = re.findall(rf"(?<!\w)(?<!\w['’-])(?:{alternatives})(?!\w|['’-]\w)", response, flags)
    return _option(config, found[0 if config.which == "first" else -1]) if found else None


def _option(config: ChoiceVerifier, text: str) -> str | None:
    """The option that the text names, as the config writes it."""
    if isinstance(config.options, str):
        return text if text in list(config.options) else None
    return {option.casefold(): option for option in config.options}.get(text.casefold())
