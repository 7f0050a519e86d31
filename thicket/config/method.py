"""Methods: ways to a specialist and ways to fold specialists into a student. The code is `thicket/methods/TYPE.py`."""

from typing import Annotated

from pydantic import Field

from thicket.config.distillation import Opd
from thicket.config.imitation import Imitated, Rft
from thicket.config.merging import Ensemble, Merging
from thicket.config.policy_gradient import Mixed, Reinforced
from thicket.config.search import Searched

SpecialistMethod = Annotated[Reinforced | Imitated | Searched, Field(discriminator="type")]
StudentMethod = Annotated[Opd | Merging | Mixed | Rft | Ensemble, Field(discriminator="type")]
