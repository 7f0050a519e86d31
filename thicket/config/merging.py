"""Students that are computed from their teachers' weights: nothing is trained."""

from typing import Annotated, Literal

from pydantic import Field

from thicket.config.fields import Positive, PositiveFloat, Strict


class WeightSpace(Strict):
    """What every student has that is a point in the space of the weights."""

    def scored(self, teachers: int) -> int:
        """Models that are scored on the selection items, of so many teachers; 0: nothing is chosen."""
        return 0


class Soup(WeightSpace):
    """The mean of the teachers' weights, weighted by w_i (Wortsman et al. 2022, arXiv 2203.05482)."""

    type: Literal["soup"]


class Chosen(WeightSpace):
    """What every such student has that may be the best of several, by sampled pass@1 on the selection items."""

    select_samples: Positive = 4
    """Responses to each selection item of the student's domains for each candidate."""


class GreedySoup(Chosen):
    """A mean of those teachers that don't lower its score (Wortsman et al. 2022, arXiv 2203.05482, recipe 1)."""

    type: Literal["greedy_soup"]

    def scored(self, teachers: int) -> int:
        """Each teacher by itself, and each but the best with those that are taken already."""
        return 2 * teachers - 1


class TaskVectors(Chosen):
    """What every method has that adds the teachers' differences to the base, δ_i = θ_i − θ_base."""

    scales: Annotated[list[PositiveFloat], Field(min_length=1)] = [1.0]
    """Candidates of λ, the factor on what is added to the base; of several, the best on the selection items."""

    def scored(self, teachers: int) -> int:
        """Each candidate of λ, where there are several."""
        return len(self.scales) if len(self.scales) > 1 else 0


class TaskArithmetic(TaskVectors):
    """The base and the teachers' differences from it: θ_base + λ Σ w_i δ_i (Ilharco et al. 2023, arXiv 2212.04089)."""

    type: Literal["task_arithmetic"]


class Ties(TaskVectors):
    """Trim, elect signs, merge what agrees: θ_base + λ · disjoint mean (Yadav et al. 2023, arXiv 2306.01708)."""

    type: Literal["ties"]
    density: Annotated[float, Field(gt=0, le=1)] = 0.2
    """Share of each tensor's differences that is kept, the largest (the paper keeps 0.2, of the whole model's)."""


class Dare(TaskVectors):
    """Differences dropped at random and the rest rescaled, then merged (Yu et al. 2024, arXiv 2311.03099)."""

    type: Literal["dare"]
    drop: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """p: the chance of each difference to be dropped; the others are divided by 1 − p (the paper's usual p is 0.9)."""
    then: Literal["task_arithmetic", "ties"] = "task_arithmetic"
    """How the rest is merged: all of it added up, or with elected signs and no further trimming."""


class Ensemble(Strict):
    """The teachers' next-token distributions pooled at every token, as an upper reference: nothing is trained, and an
    answer costs all teachers.

    Their product Π q_i^{w_i} is the distribution that Σ w_i KL(π ‖ q_i) is least for (arXiv 2606.19348 eq. 29).
    """

    type: Literal["ensemble"]


Merging = Soup | GreedySoup | TaskArithmetic | Ties | Dare
"""Ways to a student by weights alone."""
