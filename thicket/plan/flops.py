"""Planned floating-point operations of each method, a parameter of the model, counted as the ledger counts them."""

from collections.abc import Sequence

from thicket.config.analysis import (
    Analysis,
    Capability,
    Connectivity,
    CrossSampling,
    Density,
    Divergence,
    Estimators,
    Interference,
    Neighbours,
    Scalpel,
    SelfDistillation,
)
from thicket.config.imitation import Imitation, OwnSamples
from thicket.config.merging import Chosen
from thicket.config.on_policy import OnPolicy
from thicket.config.policy_gradient import PolicyGradient, Ppo
from thicket.config.search import BestPrompt, Es, Randopt, Search, SelfConsistency
from thicket.models.flops import BACKWARD, FORWARD


def rollout_flops(method: OnPolicy, prompt: float, response: float, teachers: float) -> float:
    """FLOPs a parameter of a rollout batch and its updates; each response is also read by `teachers` teachers."""
    judges = teachers + (method.start_readings + method.old_readings if isinstance(method, PolicyGradient) else 0)
    passes, updates = getattr(method, "passes", 1), getattr(method, "updates", 1)
    rounds = getattr(method, "sampling_rounds", 1)
    rollout = FORWARD * (prompt + method.group * response) * rounds
    old = FORWARD if updates * passes > 1 and getattr(method, "estimates", True) else 0.0
    critic = critics(method)
    read = old + FORWARD * critic + passes * ((1 + critic) * (FORWARD + BACKWARD) + FORWARD * judges)
    return method.prompts * (rollout + read * method.group * (prompt + response))


def imitation_flops(method: Imitation, prompt: float, response: float, asked: Sequence[tuple[int, int]]) -> float:
    """FLOPs a parameter of sampling, where a method does, and of training.

    `asked`: for each model that is sampled, its train items, and its members, which share the samples.
    """
    sampling = 0.0
    for items, members in asked:
        if not isinstance(method, OwnSamples):
            break
        readings = min(members, method.samples) * prompt + method.samples * response
        sampling += FORWARD * min(method.prompts or items, items) * readings
    return sampling + (FORWARD + BACKWARD) * method.steps * method.batch * (prompt + response)


def search_flops(method: Search, prompt: float, response: float, selection: int) -> float:
    """FLOPs a parameter of scoring all candidates."""
    if isinstance(method, Randopt):
        return FORWARD * method.perturbations * method.items * (prompt + response)
    if isinstance(method, Es):
        return FORWARD * method.steps * method.population * method.items * (prompt + response)
    items = min(method.items, selection)
    if isinstance(method, SelfConsistency):
        return FORWARD * len(method.temperatures) * items * (prompt + method.votes * response)
    assert isinstance(method, BestPrompt)
    candidates = len(method.temperatures) * len(method.templates)
    return FORWARD * candidates * items * (prompt + method.samples * response)


def choice_flops(method: Chosen, prompt: float, response: float, teachers: int, items: int) -> float:
    """FLOPs a parameter of scoring the candidates of a merge on `items` selection items."""
    return FORWARD * method.scored(teachers) * items * (prompt + method.select_samples * response)


OWN_ESTIMATES = 3
"""Gradients of a response that analysis `estimators` takes beside those of the drawn tokens."""


def analysis_flops(analysis: Analysis, models: int, prompt: float, response: float) -> float:
    """FLOPs a parameter of an analysis of so many models, on an item."""
    read, learnt = FORWARD * (prompt + response), (FORWARD + BACKWARD) * (prompt + response)

    def asked(samples: int) -> float:
        return FORWARD * (prompt + samples * response)

    match analysis:
        case Neighbours():
            plane = analysis.slice or 0 if isinstance(analysis, Density) else 0
            return (1 + len(analysis.sigmas) * analysis.perturbations + plane**2) * asked(1)
        case Connectivity():
            pairs = models * (models - 1) // 2
            return (pairs * analysis.points + models * (1 + analysis.random_directions)) * asked(analysis.samples)
        case Divergence() | Scalpel():  # Each model answers, and two read that.
            return models * (asked(analysis.samples) + 2 * analysis.samples * read)
        case CrossSampling():
            ways = 1 + 2 * len(analysis.thresholds) * (1 + len(analysis.controls))
            return models * ways * asked(analysis.samples)
        case SelfDistillation():
            scored = (models + 1) * asked(analysis.score_samples)
            return asked(analysis.samples) + models * analysis.samples * read + scored
        case Estimators():
            return asked(analysis.samples) + analysis.samples * (OWN_ESTIMATES + analysis.resamples) * learnt
        case Interference():
            return models * (asked(analysis.group) + analysis.group * learnt)
        case Capability():
            return asked(max(analysis.ks)) + asked(analysis.samples)


def critics(method: object) -> int:
    return int(isinstance(method, Ppo))
