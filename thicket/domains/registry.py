"""Finds the code of a source or a verifier: one type, one module."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from thicket.config.plugins import code_of
from thicket.config.source import Source
from thicket.config.verifier import Verifier
from thicket.domains.item import Item, RawItem
from thicket.domains.verdict import Verdict

SOURCES, VERIFIERS = "thicket.domains.sources", "thicket.domains.verifiers"
Answered = tuple[str, Item]
"""A response and the item that it answers."""
Judge = Callable[[Sequence[Answered]], list[Verdict]]
"""Responses, each with its item → verdicts, in the same order."""
Extract = Callable[[str, Item], str | None]
"""A response and its item → the answer in it, as text that equal answers share; None or empty where there is none."""


def raw_items(source: Source, seed: int) -> Iterator[RawItem]:
    """The source's items in a fixed order for the seed; maybe endless, maybe with repeats."""
    return code_of(SOURCES, source).raw_items(source, seed)


def judge_of(config: Verifier) -> Judge:
    """The verifier over many responses at once.

    A module whose work is slow or needs isolation has `judge`, for all of them together; others have `verify`, for one,
    which may say true or false alone, and whose errors come as a ValueError that names the verifier, the item and the
    response.
    """
    module: Any = code_of(VERIFIERS, config)
    if hasattr(module, "judge"):
        named = f"verifier {config.type} ({module.__name__}): judge()"
        return lambda answered: _one_each(module.judge(config, answered), len(answered), named)

    def verified(response: str, item: Item) -> Verdict:
        try:
            said = module.verify(config, response, item)
            return said if isinstance(said, Verdict) else Verdict(said)
        except Exception as error:
            said = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
            raise ValueError(f"verifier {config.type}, item {item.id}, response {response!r:.200}: {said}") from error

    return lambda answered: [verified(response, item) for response, item in answered]


def _one_each(verdicts: object, count: int, named: str) -> list[Verdict]:
    """Raises: ValueError where they are not a verdict for each response."""
    expected = f"expected a list of {count}, a Verdict for each response"
    if not isinstance(verdicts, list):
        raise ValueError(f"{named} gave {type(verdicts).__name__}; {expected}")
    if len(verdicts) != count:
        raise ValueError(f"{named} gave {len(verdicts)} verdicts; {expected}")
    strange = next((one for one in verdicts if not isinstance(one, Verdict)), None)
    if strange is not None or None in verdicts:
        raise ValueError(f"{named} gave {strange!r:.80} among the verdicts; {expected}")
    return verdicts


def extract_of(config: Verifier) -> Extract:
    """What votes count: the answer that the verifier's module finds in a response with its `extract`.

    For a verifier whose module has none, the response itself is the answer, white space at the ends aside.
    """
    module: Any = code_of(VERIFIERS, config)
    if hasattr(module, "extract"):
        return lambda response, item: module.extract(config, response, item)
    return lambda response, item: response.strip()
