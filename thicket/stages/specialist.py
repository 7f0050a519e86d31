"""Stage *specialist*: a model made for one domain, by training or by search."""

from thicket.config.imitation import Imitation
from thicket.config.policy_gradient import PolicyGradient
from thicket.config.search import BestPrompt, SelfConsistency
from thicket.config.stages import SpecialistStage
from thicket.stages.outcome import Outcome, Places


def make_specialist(config: SpecialistStage, places: Places) -> Outcome:
    """Makes the specialist's folder."""
    method = config.method
    if isinstance(method, PolicyGradient):
        from thicket.stages.reinforce import reinforce

        return reinforce(config, method, places)
    if isinstance(method, Imitation):
        from thicket.stages.imitate import imitate

        return imitate(config, method, places)
    if isinstance(method, SelfConsistency | BestPrompt):
        from thicket.stages.control import control

        return control(config, method, places)
    from thicket.stages.search import search

    return search(config, method, places)
