"""A student that is trained on all domains at once, at the cost of another student."""

from transformers import PreTrainedModel

from thicket.config.method import Mixed as MixedConfig
from thicket.config.stages import StudentStage
from thicket.methods.method import Method
from thicket.methods.mixed import Mixed
from thicket.stages.outcome import Outcome, Places
from thicket.stages.policy import start_policy, train_policy
from thicket.stages.provenance import read_provenance
from thicket.training.policy import Budget


def mix(config: StudentStage, method: MixedConfig, places: Places) -> Outcome:
    """Makes a mixed student's folder."""

    def make_method() -> tuple[Method, list[PreTrainedModel]]:
        start = start_policy(method, places.models / config.base)
        return Mixed(method, start), [start] if start else []

    assert config.budget_of is not None  # thicket check sees to it
    # All the training that the other student rests on, down to the bases, and its own.
    budget = sum(read_provenance(places.models / config.budget_of)["cost"].values())
    print(f"student {config.name}: may spend {budget:.3g} FLOPs, the whole cost of {config.budget_of}", flush=True)
    return train_policy(config, method, config.domains, make_method, Budget(flops=budget), places)
