"""The table of what an answer costs, beside what a model's making took."""

from thicket.reporting.results import Answers, Results
from thicket.reporting.tables import Entry, Row, Table
from thicket.reporting.text import si, times


def answers(results: Results) -> Table:
    """What inference costs: how each model answers, and what an answer takes."""
    head = ("answers by", "responses", "prompt tokens", "tokens decoded", "FLOPs", "times its base's")
    rows = [Row(result.model, _answer(result.answers)) for result in results.models.values()]
    note = (
        "Means over items and domains. A vote takes all its responses; each member of an ensemble reads the prompt. "
        "FLOPs: 2 for each parameter and token that is read or decoded."
    )
    return Table("What an answer costs", head, tuple(rows), note)


def way(taken: Answers) -> str:
    """`one sample, temperature 1, top-k 20`, `greedy`, `vote of 16 samples, temperature 0.7`, `vote of 50 members`."""
    if taken.members:
        return f"vote of {taken.members} members, greedy"
    cuts = [
        *([f"top-k {taken.top_k}"] if taken.top_k else []),
        *([f"top-p {taken.top_p:g}"] if taken.top_p < 1 else []),
    ]
    voters = f"vote of {taken.votes} samples" if taken.votes > 1 else "one sample"
    voters += f" of {taken.pooled} models together" if taken.pooled else ""
    if not taken.temperature:
        return f"greedy, {taken.pooled} models together" if taken.pooled else "greedy"
    return ", ".join([voters, f"temperature {taken.temperature:g}", *cuts])


def _answer(taken: Answers) -> tuple[Entry, ...]:
    return (
        Entry(way(taken), f"prompt in {taken.template!r}" if taken.template is not None else ""),
        Entry(f"{taken.calls:g}"),
        Entry(f"{taken.prompt:.1f}"),
        Entry(f"{taken.tokens:.1f}"),
        Entry(si(taken.flops)),
        Entry(times(taken.times)),
    )
