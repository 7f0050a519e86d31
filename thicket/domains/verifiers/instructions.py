"""All of an IFEval prompt's instructions are followed."""

from thicket.config.verifier import InstructionsVerifier
from thicket.domains.instructions import follows
from thicket.domains.item import Item


def verify(config: InstructionsVerifier, response: str, item: Item) -> bool:
    """Correct if the response follows every instruction of the item, each by itself in the loose mode."""
    loose = config.mode == "loose"
    return all(
        follows(response, instruction["kind"], instruction["arguments"], loose)
        for instruction in item.reference["instructions"]
    )
