"""Stage *student*: several specialists, or several domains, folded into one model."""

from thicket.config.distillation import Opd
from thicket.config.imitation import Rft
from thicket.config.merging import Ensemble
from thicket.config.policy_gradient import Mixed
from thicket.config.stages import StudentStage
from thicket.stages.outcome import Outcome, Places


def make_student(config: StudentStage, places: Places) -> Outcome:
    """Makes the student's folder."""
    if isinstance(config.method, Opd):
        from thicket.stages.distil import distil

        return distil(config, config.method, places)
    if isinstance(config.method, Mixed):
        from thicket.stages.mix import mix

        return mix(config, config.method, places)
    if isinstance(config.method, Rft):
        from thicket.stages.imitate_teachers import imitate_teachers

        return imitate_teachers(config, config.method, places)
    if isinstance(config.method, Ensemble):
        from thicket.stages.pool import pool

        return pool(config, places)
    from thicket.stages.merge import merge

    return merge(config, config.method, places)
