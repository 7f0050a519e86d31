"""The response's last answer equals the reference as mathematics, by the package math-verify."""

from collections.abc import Sequence
from importlib.util import find_spec

from thicket.config.verifier import MathVerifier
from thicket.domains import equality
from thicket.domains.item import Item
from thicket.domains.mathematics import answer_in, boxed
from thicket.domains.pool import run_isolated
from thicket.domains.verdict import Verdict
from thicket.domains.written import plain_form

EQUIVALENT = f"{equality.__name__}:{equality.equivalent.__name__}"


def judge(config: MathVerifier, answered: Sequence[tuple[str, Item]]) -> list[Verdict]:
    """Correct where the answer in the response is that in the item's reference answer.

    Equal texts are right at once; all else is compared in a worker, where an answer that takes too long, or crashes
    sympy, is wrong with the reason that the pool gives.
    Raises: ValueError where the package is missing, or an item has no answer.
    """
    if find_spec("math_verify") is None:
        wrong = "the package math-verify can't be found"
        raise ValueError(f"verifier math: {wrong}; `pip install 'math-verify[antlr4_9_3]'` installs it")
    pairs = [(_reference(item), extract(config, response, item)) for response, item in answered]
    # A group of responses often holds one answer many times: each is compared once.
    unsure = list(dict.fromkeys((reference, given) for reference, given in pairs if given and given != reference))
    arguments = [{"reference": reference, "answer": given} for reference, given in unsure]
    outcomes = dict(zip(unsure, run_isolated(EQUIVALENT, arguments, config.seconds), strict=True))
    return [
        Verdict(bool(outcomes[pair].value), outcomes[pair].reason) if pair in outcomes else Verdict(pair[1] != "")
        for pair in pairs
    ]


def extract(config: MathVerifier, response: str, item: Item) -> str:
    """The answer as it is written, for votes: 1/2 and 0.5 are two answers."""
    return plain_form(answer_in(response) or "")


def _reference(item: Item) -> str:
    """The answer in the last box of the item's reference answer, or all of it where it has none."""
    reference = plain_form(boxed(item.answer) or item.answer)
    if not reference:
        raise ValueError(f"item {item.id}: the answer is empty, which the verifier `math` can't use")
    return reference
