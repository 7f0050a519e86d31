"""RFT: rejection-sampling fine-tuning (Yuan et al. 2023, arXiv 2308.01825).

Signal: a verifier's word on samples of the frozen start; the correct ones are imitated, with the loss of SFT. From an
ensemble, the samples are its members', and the model that they are perturbations of learns from them: the distillation
of Neural Thickets (arXiv 2603.12228), which keeps the shortest correct one of each prompt.
"""

from thicket.config.imitation import Rft
from thicket.methods.texts import Sample

JUDGED = True
"""The samples are verified."""


def kept(config: Rft, samples: list[Sample]) -> list[Sample]:
    """Which samples of a prompt are imitated; of equal ones the first."""
    correct = [sample for sample in samples if sample.correct]
    if config.keep == "shortest":
        return sorted(correct, key=lambda sample: len(sample.tokens))[:1]
    if config.keep == "distinct":
        first: dict[str, Sample] = {}
        for sample in correct:
            first.setdefault(sample.text.strip(), sample)
        return list(first.values())
    return correct
