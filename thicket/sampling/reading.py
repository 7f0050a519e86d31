"""What a model makes of responses: hidden states where their tokens are predicted, and the tokens' log-probabilities.

The responses to a prompt follow one another in a batch: most of what a plain forward pass reads, it reads once for each
response; here what rows have in common at their beginning is read once. Logits are made of response tokens alone, some
at a time. Legend: U beginnings, B rows, C tokens of a beginning, L tokens of prompt and response, K trained positions,
H hidden width, V vocabulary.
"""

from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from thicket.models.head import head_logits, head_of, hidden_states, plain
from thicket.ops.chosen import chosen_log_probs
from thicket.sampling.rollouts import Sequences
from thicket.sampling.slots import cache_keyword

WORTH = 0.1
"""Of a batch's tokens: what has to be saved before two passes over the layers are better than one."""
CHUNK_BYTES = 2**28
"""Memory for logits: tokens go through the head in chunks of this size."""


def trained_hidden(model: PreTrainedModel, batch: Sequences) -> Tensor:
    """The trunk's last hidden states at the trained positions, hidden_BKH; of picked positions, hidden_1NH."""
    if batch.row_N is not None:
        return hidden_states(model, batch.ids_BL)[batch.row_N, batch.positions_K].unsqueeze(0)
    common = int(batch.positions_K[0]) + 1  # tokens of the shortest prompt
    first_UC, row_B = torch.unique_consecutive(batch.ids_BL[:, :common], dim=0, return_inverse=True)
    if (len(batch) - len(first_UC)) * common < WORTH * batch.ids_BL.numel():
        return hidden_states(model, batch.ids_BL)[:, batch.positions_K]
    return _hidden(model, first_UC, row_B, batch.ids_BL[:, common:-1])


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


def target_log_probs(
    model: PreTrainedModel, hidden_BKH: Tensor, batch: Sequences, temperature: float = 1.0
) -> tuple[Tensor, Tensor]:
    """log π(target), and the entropy of π without a gradient: both BK in float32 at least, and 0 outside the mask."""
    inside_BK = batch.mask_BK > 0
    head, targets_N = head_of(model).tempered(temperature), batch.targets_BK[inside_BK]
    of_tokens = chosen_log_probs(hidden_BKH[inside_BK], head, targets_N, CHUNK_BYTES)
    log_probs_BK, entropy_BK = (
        torch.zeros(inside_BK.shape, dtype=of_N.dtype, device=of_N.device).masked_scatter(inside_BK, of_N)
        for of_N in of_tokens
    )
    return log_probs_BK, entropy_BK


def all_log_probs(model: PreTrainedModel, hidden_BKH: Tensor, temperature: float) -> Tensor:
    """log π of every token at every trained position, log_probs_BKV in float32."""
    return (head_logits(model, hidden_BKH).float() / temperature).log_softmax(dim=-1)
