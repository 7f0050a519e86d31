"""Several models that choose every token together. Legend: U prompts, B rows, L positions, V vocabulary."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel


class Pooled(nn.Module):
    """Models of one vocabulary, with the share of each in the pooled log-probabilities."""

    def __init__(self, models: Sequence[PreTrainedModel], shares: Sequence[float], words: int):
        """`words`: tokens of the tokenizer; logits beyond are padding, and not equally wide in all models."""
        super().__init__()
        self.models, self.shares, self.words = nn.ModuleList(models), list(shares), words

    @property
    def first(self) -> Any:
        """The one whose settings count."""
        return self.models[0]

    @property
    def device(self) -> torch.device:
        return self.first.device

    @property
    def generation_config(self) -> Any:
        return self.first.generation_config


def voices(model: Any) -> list[tuple[Any, float]]:
    """The models that choose a token, with their shares: a model by itself, or those that are pooled."""
    return list(zip(model.models, model.shares, strict=True)) if isinstance(model, Pooled) else [(model, 1.0)]


def pooled(logits: Sequence[Tensor], shares: Sequence[float]) -> Tensor:
    """Σ share · log p, for logits of one shape; logits of a single model as they are."""
    if len(logits) == 1:
        return logits[0]
    made = [share * one.float().log_softmax(dim=-1) for one, share in zip(logits, shares, strict=True)]
    return torch.stack(made).sum(dim=0)
