"""A student that is trained on all domains at once, at the cost of another student."""

from thicket.config.policy_gradient import Mixed as MixedConfig
from thicket.config.stages import StudentStage
from thicket.methods.method import Method
from thicket.methods.mixed import Mixed
from thicket.methods.policy_gradient import Load
from thicket.stages.outcome import Outcome, Places
from thicket.stages.policy import train_policy
from thicket.stages.provenance import read_provenance
from thicket.training.policy import Budget


def mix(config: StudentStage, method: MixedConfig, places: Places) -> Outcome:
    """Makes a mixed student's folder."""

    def make_method(load: Load) -> Method:
        return Mixed(method, load)

    assert config.budget_of is not None  # thicket check sees to it
    # All the training that the other student rests on, down to the bases, and its own.
    budget = method.spendable(read_provenance(places.models / config.budget_of)["cost"], config.budget_of)
    what = "the whole cost" if method.budget == "whole" else "the cost of the teachers"
    what = what if method.share == 1 else f"{method.share:g} of {what}"
    print(f"student {config.name}: may spend {budget:.3g} FLOPs, {what} of {config.budget_of}", flush=True)
    return train_policy(config, method, config.domains, make_method, Budget(flops=budget), places)
