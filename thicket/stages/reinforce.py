"""A specialist that is trained by reward on its own responses."""

from thicket.config.plugins import class_of
from thicket.config.policy_gradient import PolicyGradient
from thicket.config.stages import SpecialistStage
from thicket.methods.method import Method
from thicket.methods.policy_gradient import Load
from thicket.stages.outcome import Outcome, Places
from thicket.stages.policy import train_policy
from thicket.training.policy import Budget


def reinforce(config: SpecialistStage, method: PolicyGradient, places: Places) -> Outcome:
    """Makes the specialist's folder."""

    def make_method(load: Load) -> Method:
        return class_of("thicket.methods", method)(method, load)

    budget = Budget(steps=getattr(method, "steps"), flops=method.flops)  # noqa: B009
    return train_policy(config, method, [config.domain], make_method, budget, places)
