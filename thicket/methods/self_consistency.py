"""Self-consistency: the base's own majority vote over K samples (Wang et al. 2022, arXiv 2203.11171).

A control: an ensemble of K neighbours of the base costs as much to ask, and has to beat what the base itself makes of K
samples. The temperature that serves the vote best is not the one that serves a single sample, so it is chosen.
"""

from thicket.config.answering import Answering
from thicket.config.search import SelfConsistency


def candidates(config: SelfConsistency) -> list[Answering]:
    """Ways to answer, in the order in which they are tried: a temperature each."""
    return [Answering(votes=config.votes, temperature=temperature) for temperature in config.temperatures]


def answers(config: SelfConsistency) -> int:
    """Answers to each selection item; a vote over one sample is no vote."""
    return 1
