"""A specialist that is trained by reward on its own responses."""

from thicket.config.plugins import class_of, is_plugin
from thicket.config.policy_gradient import PolicyGradient
from thicket.config.stages import SpecialistStage
from thicket.methods.checked import checked
from thicket.methods.method import Method
from thicket.methods.policy_gradient import Load
from thicket.stages.outcome import Outcome, Places
from thicket.stages.policy import train_policy
from thicket.training.policy import Budget


def reinforce(config: SpecialistStage, method: PolicyGradient, places: Places) -> Outcome:
    """Makes the specialist's folder."""

    def make_method(load: Load) -> Method:
        code = class_of("thicket.methods", method)
        made, kind = code(method, load), getattr(method, "type")  # noqa: B009
        return checked(made, f"plug-in {code.__module__}, method {kind}") if is_plugin(method) else made

    budget = Budget(steps=getattr(method, "steps"), flops=method.flops)  # noqa: B009
    return train_policy(config, method, [config.domain], make_method, budget, places)
