"""Which of several teachers of a domain a student is held against."""

from thicket.reporting.inputs import Inputs


def best_of(names: tuple[str, ...], domain: str, inputs: dict[str, Inputs]) -> tuple[str, ...]:
    """The best on the selection items, which are not those that it is measured on; all where one has no such score.

    A mean with weak teachers is a gain that nobody would have deployed, and a student of them could have all of it
    twice over.
    """
    scores = {name: _selection(inputs[name], domain) for name in names}
    known = {name: score for name, score in scores.items() if score is not None}
    return (max(known, key=lambda name: known[name]),) if len(known) == len(names) else names


def _selection(inputs: Inputs, domain: str) -> float | None:
    """A specialist's score on the selection items of its own domain; others have none of one domain alone."""
    return inputs.ledger.get("selection_pass@1") if inputs.model.domain == domain else None
