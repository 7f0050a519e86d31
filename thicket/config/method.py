"""Methods: ways to a specialist and ways to fold specialists into a student. The code is `thicket/methods/TYPE.py`."""

from typing import Annotated, Literal

from pydantic import Field

from thicket.config.fields import Positive, PositiveFloat
from thicket.config.imitation import Imitated
from thicket.config.merging import Merging
from thicket.config.on_policy import OnPolicy
from thicket.config.policy_gradient import Mixed, Reinforced
from thicket.config.search import Searched


class Opd(OnPolicy):
    """Multi-teacher on-policy distillation: Σ_i w_i KL(π_θ ‖ π_Ei), full vocabulary (arXiv 2606.19348 eq. 29)."""

    type: Literal["opd"]
    steps: Positive
    """Rollout batches."""
    temperature: PositiveFloat = 1.0
    """Sampling temperature of the rollouts; the divergence is that of the untempered distributions."""


SpecialistMethod = Annotated[Reinforced | Imitated | Searched, Field(discriminator="type")]
StudentMethod = Annotated[Opd | Merging | Mixed, Field(discriminator="type")]
