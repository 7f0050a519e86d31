"""The first option letter that stands alone in the response equals the answer's letter."""

import re

from thicket.config.domain import ChoiceVerifier
from thicket.domains.item import Item


def verify(config: ChoiceVerifier, response: str, item: Item) -> bool:
    """Correct if the first letter that stands alone is the answer's.

    Alone is a letter that isn't joined to a word, directly or by a hyphen or apostrophe: the A of "(A)", "A." and
    "**A**", not that of "Answer", "A-level" or "A's". Letters count in the case in which the config gives them.
    Raises: ValueError where the item's answer is not one of the letters.
    """
    if item.answer not in list(config.letters):
        allowed = ", ".join(config.letters)
        raise ValueError(f"item {item.id}: the answer {item.answer!r:.60} is not an option letter; allowed: {allowed}")
    letters = "".join(map(re.escape, config.letters))
    found = re.search(rf"(?<!\w)(?<!\w['’-])[{letters}](?!\w|['’-]\w)", response)
    return found is not None and found[0] == item.answer
