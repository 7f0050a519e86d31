"""Stage *specialist*: a model trained on one domain."""

from collections.abc import Callable
from importlib import import_module

from transformers import PreTrainedModel

from thicket.config.stages import SpecialistStage
from thicket.methods.method import Method
from thicket.stages.outcome import Outcome, Places
from thicket.stages.policy import start_policy, train_policy
from thicket.training.policy import Budget


def method_class(name: str) -> Callable[..., Method]:
    """One type, one module, one class: `dr_grpo` → `thicket.methods.dr_grpo.DrGrpo`."""
    return getattr(import_module(f"thicket.methods.{name}"), "".join(part.title() for part in name.split("_")))


def make_specialist(config: SpecialistStage, places: Places) -> Outcome:
    """Makes the specialist's folder."""

    def make_method() -> tuple[Method, list[PreTrainedModel]]:
        start = start_policy(config.method, places.models / config.base)
        return method_class(config.method.type)(config.method, start), [start] if start else []

    budget = Budget(steps=config.method.steps)
    return train_policy(config, config.method, [config.domain], make_method, budget, places)
