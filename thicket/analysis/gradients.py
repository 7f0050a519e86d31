"""Gradients of a model's weights, prompt by prompt, as sketches: no gradient of the whole model outlives its making.

The trunk reads a prompt's responses once; of each objective the head sees a chunk of tokens at a time. Legend: B
responses, N tokens of them, H hidden width, V vocabulary, M numbers of a sketch.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from thicket.analysis.positions import ELEMENTS
from thicket.models.head import head_logits, head_of
from thicket.ops import draws, sketch
from thicket.sampling.reading import trained_hidden
from thicket.sampling.rollouts import Sequences, sequences

SKETCH = 2**16
"""Numbers of a sketch (M). Products of gradients g and h are off by √(2/M)·|g||h| = 0.0055·|g||h| or less (one standard
deviation); 256 prompts take 64 MiB."""
MAP = 23
"""Stream of draws: the map that makes sketches."""

Objective = Callable[[Tensor, slice], Tensor]
"""(log_probs_NV in float64 of some tokens, which of all N) → value_N, whose sum's gradient is wanted."""


@dataclass(frozen=True)
class Reading:
    """Responses to a prompt as a model read them."""

    batch: Sequences
    hidden_NH: Tensor
    """With the trunk's graph, where there is one."""
    tokens_N: Tensor

    @property
    def mask_BK(self) -> Tensor:
        return self.batch.mask_BK


class Reader:
    """A model that reads responses."""

    def __init__(self, model: Any, words: int, seed: int):
        """`words`: tokens of the tokenizer; columns beyond are padding, and take no probability."""
        self.model, self.words = model, words
        self.parameters = [(_key(seed, name), one) for name, one in model.named_parameters() if one.requires_grad]

    def read(self, prompt: list[int], responses: Sequence[list[int]]) -> Reading:
        """The responses' tokens, one response after the other. Under `torch.no_grad` without a graph."""
        batch = sequences([prompt] * len(responses), list(responses), self.model.device)
        inside_BK = batch.mask_BK.bool()
        hidden_NH = trained_hidden(self.model, batch)[inside_BK]
        return Reading(batch, hidden_NH, batch.targets_BK[inside_BK])

    def chunks(self, count: int) -> Iterator[slice]:
        """Of so many tokens."""
        size = max(1, ELEMENTS // len(head_of(self.model).weight_VH))
        for start in range(0, count, size):
            yield slice(start, min(start + size, count))

    def logits(self, hidden_NH: Tensor) -> Tensor:
        """logits_NV of the tokenizer's tokens."""
        return head_logits(self.model, hidden_NH)[:, : self.words]

    def log_probs(self, hidden_NH: Tensor) -> Tensor:
        """log_probs_NV in float64: of two models that are close, KL is far below float32's rounding."""
        return self.logits(hidden_NH).double().log_softmax(dim=-1)

    def gradient(self, reading: Reading, objective: Objective) -> tuple[Tensor, Tensor]:
        """The sketch_M of the gradient of the objective's sum over all N tokens, and value_N.

        A reading can be asked any number of times. The model's own gradients are empty before and after.
        """
        leaf_NH, values = reading.hidden_NH.detach().requires_grad_(), list[Tensor]()
        for part in self.chunks(len(leaf_NH)):
            value_N = objective(self.log_probs(leaf_NH[part]), part)
            value_N.sum().backward()
            values.append(value_N.detach())
        reading.hidden_NH.backward(leaf_NH.grad, retain_graph=True)
        sketch_M = torch.zeros(SKETCH, device=leaf_NH.device)
        for key, parameter in self.parameters:
            if parameter.grad is not None:
                sketch.add(sketch_M, parameter.grad.float(), key)
                parameter.grad = None
        return sketch_M.cpu(), torch.cat(values)


def _key(seed: int, name: str) -> int:
    """Equal for parameters of one name, so that gradients of several models of a shape can be compared."""
    return draws.key(seed, MAP, int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big"))
