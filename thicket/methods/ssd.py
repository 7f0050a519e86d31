"""SSD: simple self-distillation (arXiv 2604.01193).

Signal: the frozen start's own samples at T_train, truncated by top-k and top-p, right or wrong; only empty ones are
dropped. Loss: that of SFT. What it does to the model is in `thicket.ops.self_distillation`. Afterwards the model
answers at a temperature of its own, T_eval.
"""

from thicket.config.imitation import Ssd
from thicket.methods.texts import Sample

JUDGED = False
"""Nobody verifies the samples."""


def kept(config: Ssd, samples: list[Sample]) -> list[Sample]:
    """Which samples of a prompt are imitated: all that hold more than white space."""
    return [sample for sample in samples if sample.text.strip()]
