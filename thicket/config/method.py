"""Methods: ways to a specialist and ways to fold specialists into a student. The code is `thicket/methods/TYPE.py`."""

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from thicket.config.distillation import Opd
from thicket.config.imitation import Imitated, Rft, Sampled
from thicket.config.merging import Ensemble, Merging
from thicket.config.plugins import METHODS, with_plugins
from thicket.config.policy_gradient import Mixed, PolicyGradient, Reinforced
from thicket.config.search import Searched

Own = Reinforced | Imitated | Searched
if TYPE_CHECKING:
    SpecialistMethod = Own
else:
    SpecialistMethod = with_plugins(METHODS, Own, (PolicyGradient, Sampled))
StudentMethod = Annotated[Opd | Merging | Mixed | Rft | Ensemble, Field(discriminator="type")]
