"""The response's text equals the answer, white space at the ends aside."""

from thicket.config.verifier import ExactVerifier
from thicket.domains.item import Item


def verify(config: ExactVerifier, response: str, item: Item) -> bool:
    """Correct if both are the same text; nothing equals an answer that no one can name."""
    return item.answer != "" and extract(config, response, item) == item.answer.strip()


def extract(config: ExactVerifier, response: str, item: Item) -> str:
    """The response's text, white space at the ends aside."""
    return response.strip()
