"""The logits that are trained, with what rows have in common at their beginning read once for all of them.

The responses to a prompt follow one another in a batch: most of what a plain forward pass reads, it reads once for each
response. Legend: U beginnings, B rows, C tokens of a beginning, L tokens of prompt and response, K trained positions.
"""

from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from thicket.models.head import head_logits, plain
from thicket.sampling.decode import cache_keyword
from thicket.sampling.rollouts import Sequences, logits_of

WORTH = 0.1
"""Of a batch's tokens: what has to be saved before two passes over the layers are better than one."""


def trained_logits(model: PreTrainedModel, batch: Sequences) -> Tensor:
    """What `logits_of` gives, up to rounding, and with the same gradients; logits_BKV in float32."""
    if batch.row_N is not None:
        return logits_of(model, batch)
    common = int(batch.positions_K[0]) + 1  # tokens of the shortest prompt
    first_UC, row_B = torch.unique_consecutive(batch.ids_BL[:, :common], dim=0, return_inverse=True)
    if (len(batch) - len(first_UC)) * common < WORTH * batch.ids_BL.numel():
        return logits_of(model, batch)
    return head_logits(model, _hidden(model, first_UC, row_B, batch.ids_BL[:, common:-1])).float()


def _hidden(model: Any, first_UC: Tensor, row_B: Tensor, rest_BK: Tensor) -> Tensor:
    """Hidden states after each beginning and after each token that a row has beyond it, hidden_BKH.

    The cache keeps its graph: what the rows do to a beginning's keys and values comes together in it.
    """
    trunk, cache = plain(model).base_model, DynamicCache(config=plain(model).config)
    given: dict[str, Any] = {"use_cache": True, cache_keyword(model): cache}
    last_UH = trunk(input_ids=first_UC, **given).last_hidden_state[:, -1]
    if not rest_BK.shape[1]:
        return last_UH[row_B].unsqueeze(1)
    cache.batch_select_indices(row_B)
    rest_BKH = trunk(input_ids=rest_BK, **given).last_hidden_state
    return torch.cat([last_UH[row_B].unsqueeze(1), rest_BKH], dim=1)
