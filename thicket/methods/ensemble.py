"""Ensemble: all teachers choose every token together, by the product of their distributions (Hinton 1999; the target
of Σ_i w_i KL(π ‖ π_Ei), DeepSeek-V4, arXiv 2606.19348 eq. 29).

What a student could be at best that follows all of its teachers at once (Σ_i w_i KL(π ‖ π_Ei) is least for it), at the
price of asking each of them at every token. It has no weights of its own.
"""

from thicket.config.answering import Answering, Voice
from thicket.config.stages import Teacher


def answering_of(teachers: list[Teacher], weights: dict[str, str]) -> Answering:
    """How the ensemble answers; `weights`: the hash of each model's weights."""
    heard = [teacher for teacher in teachers if teacher.weight > 0]
    total = sum(teacher.weight for teacher in heard)
    return Answering(
        pooled=[Voice(model=one.name, weights=weights[one.name], share=one.weight / total) for one in heard]
    )
