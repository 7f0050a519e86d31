"""What a stage spent: tokens and FLOPs, which the seed fixes, and time and memory, which the machine does."""

import resource
from dataclasses import asdict, dataclass

import torch
from torch import nn


@dataclass
class Ledger:
    """Counts of tokens and floating-point operations.

    2 FLOPs a parameter and token forward, 4 backward (Kaplan et al. 2020, arXiv 2001.08361 §2.1): 2P for a token that is
    read or generated, 6P for one that is trained on. Attention's own share is left out.
    """

    parameters: int = 0
    tokens_generated: int = 0
    tokens_trained: int = 0
    flops: float = 0.0

    def forward(self, tokens: int, passes: float = 1.0) -> None:
        """Tokens that are read: prompts, and trained tokens that another model judges."""
        self.flops += 2.0 * self.parameters * tokens * passes

    def generated(self, tokens: int) -> None:
        self.tokens_generated += tokens
        self.forward(tokens)

    def trained(self, tokens: int) -> None:
        self.tokens_trained += tokens
        self.flops += 6.0 * self.parameters * tokens

    def counts(self) -> dict[str, float]:
        """The figures that the seed fixes."""
        return asdict(self)


def parameter_count(model: nn.Module) -> int:
    """Parameters of a model, tied ones once."""
    return sum(parameter.numel() for parameter in model.parameters())


def peak_memory_bytes() -> int:
    """The most memory that the process held: the GPU's where there is one, else resident memory (Linux counts KiB)."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
