"""RandOpt: random search around a model (Gan & Isola 2026, "Neural Thickets", arXiv 2603.12228).

Signal: the mean reward of greedy responses to the first items of the train split, for each of N perturbations θ + σε,
ε ~ N(0, I) over all parameters, the σ dealt in turn. The best K are the ensemble, ties to the earlier candidate; they
answer by majority vote. What differs from the released code: the noise of parameters of one shape is independent, and
the base is restored from a copy.
"""

from collections.abc import Sequence

from thicket.config.answering import Perturbation
from thicket.config.search import Randopt
from thicket.methods.search import seed_of
from thicket.models.perturb import Direction


class RandoptSearch:
    """The method `randopt`."""

    def __init__(self, config: Randopt, seed: int):
        self.config, self.seed = config, seed
        self.candidates = self.population = config.perturbations

    def direction(self, candidate: int) -> Direction:
        sigmas = self.config.sigmas
        return Direction(seed_of(self.seed, candidate), sigmas[candidate % len(sigmas)])

    def may_stop(self, scored: int) -> bool:
        return scored >= self.config.members

    def step(self, directions: Sequence[Direction], scores: Sequence[float]) -> list[Direction]:
        return []

    def ensemble(self, scores: Sequence[float]) -> list[Perturbation]:
        """The best members among the candidates that were scored, best first."""
        ranked = sorted(range(len(scores)), key=lambda candidate: -scores[candidate])  # stable: ties to the earlier
        members = [(self.direction(candidate), scores[candidate]) for candidate in ranked[: self.config.members]]
        return [Perturbation(seed=at.seed, sigma=at.weight, score=score) for at, score in members]
