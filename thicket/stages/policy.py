"""What the stages *specialist* and *student* share: a run of `PolicyTraining` from a model folder to a model folder."""

from collections.abc import Callable

from transformers import PreTrainedModel

from thicket.config.domain import TrainedDomain
from thicket.config.on_policy import OnPolicy
from thicket.config.stages import SpecialistStage, StudentStage
from thicket.domains.item import SplitName
from thicket.methods.method import Method
from thicket.models.folder import load_model, load_tokenizer, save_model
from thicket.models.lora import ADAPTER, adapt, merged, save_adapter
from thicket.sampling.environment import Environment, count_never_right, load_environment
from thicket.sampling.judging import with_judge
from thicket.sampling.rollout_log import RolloutLog
from thicket.sampling.sampler import sampler_of
from thicket.stages.outcome import Outcome, Places
from thicket.training.asking import Arena
from thicket.training.loop import fit
from thicket.training.policy import Budget, PolicyTraining

MakeMethod = Callable[[Callable[[], PreTrainedModel]], Method]
"""Makes a method, given what loads the model that training starts from."""


def train_policy(
    stage: SpecialistStage | StudentStage,
    config: OnPolicy,
    domains: list[TrainedDomain],
    make_method: MakeMethod,
    budget: Budget,
    places: Places,
    teachers: tuple[str, ...] = (),
) -> Outcome:
    """Trains the stage's base on the domains and writes the result."""
    title, start, seed, log = f"{stage.stage} {stage.name}", stage.base, stage.seed, RolloutLog(places.resume)
    sampler = sampler_of(stage.sampler, log)
    folder = places.models / start
    model, tokenizer = load_model(folder), load_tokenizer(folder)
    method = make_method(lambda: load_model(folder))
    policy = adapt(model, config.lora, seed) if config.lora else model

    def environment(domain: TrainedDomain, split: SplitName) -> Environment:
        loaded = load_environment(domain, places.data / domain.name, split, tokenizer)
        return with_judge(loaded, policy, tokenizer, sampler)

    arenas = [Arena(domain, environment(domain, "train"), environment(domain, "selection")) for domain in domains]
    module = PolicyTraining(policy, tokenizer, arenas, config, method, budget, seed, sampler)
    fit(module, stage.trainer, places.resume, places.progress(title, stage), log.clear)
    selection = module.finish()
    save_adapter(module.model, start, places.out / ADAPTER)
    save_model(merged(module.model), tokenizer, places.out)
    return Outcome(
        parents=(start, *teachers),
        domains=[domain.name for domain in domains],
        ledger=module.ledger,
        seconds=module.seconds,
        steps=module.step,
        selection=selection,
        never_right=count_never_right(arena.train for arena in arenas),
        rows=module.rows,
        phases=module.phases,
        shown=module.shown,
    )
