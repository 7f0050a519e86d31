"""Best prompt: the base at the temperature and with the prompt that are best on the selection items.

A control: a specialist has to beat what a choice of words and of a temperature gets out of the base (SSD's paper tunes
the base's temperature so, arXiv 2604.01193).
"""

from thicket.config.answering import Answering
from thicket.config.search import BestPrompt


def candidates(config: BestPrompt) -> list[Answering]:
    """Ways to answer, in the order in which they are tried: each template at every temperature."""
    return [
        Answering(template=template, temperature=temperature)
        for template in config.templates
        for temperature in config.temperatures
    ]


def answers(config: BestPrompt) -> int:
    """Answers to each selection item."""
    return config.samples
