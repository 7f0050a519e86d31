"""ES: evolution strategies at scale, over all weights (arXiv 2509.24372).

Signal: as RandOpt's, of N perturbations θ + σε_n a generation, one-sided, on the same items in every generation.
Step: θ += (α/N) Σ z_n ε_n, z_n = (R_n − mean)/std over the population, the std with N below the sum (ddof 0); where all
rewards are equal, z is 0 and θ stays. The sum over n is taken in float32.
"""

from collections.abc import Sequence
from math import fsum, sqrt

from thicket.config.search import Es
from thicket.methods.search import seed_of
from thicket.models.perturb import Direction


class EsSearch:
    """The method `es`."""

    def __init__(self, config: Es, seed: int):
        self.config, self.seed = config, seed
        self.population, self.candidates = config.population, config.steps * config.population

    def direction(self, candidate: int) -> Direction:
        return Direction(seed_of(self.seed, candidate), self.config.sigma)

    def may_stop(self, scored: int) -> bool:
        return scored > 0 and scored % self.population == 0

    def step(self, directions: Sequence[Direction], scores: Sequence[float]) -> list[Direction]:
        share = self.config.alpha / self.population
        return [Direction(at.seed, share * z) for at, z in zip(directions, z_scores(scores), strict=True)]


def z_scores(scores: Sequence[float]) -> list[float]:
    """(R − mean)/std of each score; 0 where all are equal."""
    if min(scores) == max(scores):
        return [0.0] * len(scores)
    mean = fsum(scores) / len(scores)
    deviation = sqrt(fsum((score - mean) ** 2 for score in scores) / len(scores))
    return [(score - mean) / deviation for score in scores]
