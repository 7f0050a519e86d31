"""The option that the response announces, or else the first or last that stands alone, equals the answer."""

from thicket.config.verifier import ChoiceVerifier
from thicket.domains.item import Item
from thicket.domains.named import named


def verify(config: ChoiceVerifier, response: str, item: Item) -> bool:
    """Correct if the option that counts (`thicket.domains.named`) is the answer's.

    Raises: ValueError where the item's answer is not one of the options.
    """
    answer = item.answer if isinstance(config.options, str) else item.answer.casefold()
    options = config.options if isinstance(config.options, str) else [option.casefold() for option in config.options]
    if answer not in list(options):
        allowed = ", ".join(config.options)
        raise ValueError(f"item {item.id}: the answer {item.answer!r:.60} is not an option; allowed: {allowed}")
    found = extract(config, response, item)
    return found is not None and found == config.options[list(options).index(answer)]


def extract(config: ChoiceVerifier, response: str, item: Item) -> str | None:
    """The option that counts, as the config writes it; None where none does, or several are named together."""
    found = named(response, config.options)
    counted = found[0 if config.which == "first" else -1] if found else frozenset[str]()
    return next(iter(counted)) if len(counted) == 1 else None
