"""Mixed RL: one GRPO run over all domains at once (the stage that DeepSeek-V4 replaced by OPD, arXiv 2606.19348 §5).

What differs from GRPO: the prompts of a batch are shared evenly among the domains, each with its own reward, and the
run goes on until it has spent a budget of FLOPs instead of a number of steps. Both are the training loop's.
"""

from thicket.methods.grpo import Grpo


class Mixed(Grpo):
    """The method `mixed`."""
