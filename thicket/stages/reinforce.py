"""A specialist that is trained by reward on its own responses."""

from collections.abc import Callable
from importlib import import_module

from thicket.config.policy_gradient import PolicyGradient
from thicket.config.stages import SpecialistStage
from thicket.methods.method import Method
from thicket.methods.policy_gradient import Load
from thicket.stages.outcome import Outcome, Places
from thicket.stages.policy import train_policy
from thicket.training.policy import Budget


def method_class(name: str) -> Callable[..., Method]:
    """One type, one module, one class: `dr_grpo` → `thicket.methods.dr_grpo.DrGrpo`."""
    return getattr(import_module(f"thicket.methods.{name}"), "".join(part.title() for part in name.split("_")))


def reinforce(config: SpecialistStage, method: PolicyGradient, places: Places) -> Outcome:
    """Makes the specialist's folder."""

    def make_method(load: Load) -> Method:
        return method_class(config.method.type)(method, load)

    budget = Budget(steps=getattr(method, "steps"), flops=method.flops)  # noqa: B009
    return train_policy(config, method, [config.domain], make_method, budget, places)
