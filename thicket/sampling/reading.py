"""What a model makes of responses: hidden states where their tokens are predicted, and the tokens' log-probabilities.

A plain forward pass reads a prompt once for each response to it; here it is read once for all that follow one another.
Logits are made of response tokens alone, some at a time. Legend: U prompts, P the longest prompt's tokens, B rows, R
the longest response's tokens but the last, which predicts nothing, L tokens of prompt and response, K trained
positions, H hidden width, V vocabulary.
"""

from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from thicket.models.flops import BACKWARD, FORWARD
from thicket.models.fused import fused
from thicket.models.head import head_logits, head_of, hidden_states, plain
from thicket.ops.chosen import chosen_log_probs
from thicket.sampling.rollouts import Sequences
from thicket.sampling.slots import cache_keyword, keeps_states, unreadable, window_of

WORTH = 0.1
"""Of a batch's tokens: what has to be saved before two passes over the layers are better than one."""
LAUNCHES = 9e11
"""And on a GPU, of its work, in floating-point operations for each layer: it does so many while the host, forward and
backward, launches a layer once more. Measured on an H200 (docs/log.md, 2026-11-29)."""
NOTHING = -1
"""Where a prompt has no token; no vocabulary has this one."""
CHUNK_BYTES = 2**28
"""Memory for logits: tokens go through the head in chunks of this size."""


def trained_hidden(model: PreTrainedModel, batch: Sequences) -> Tensor:
    """The trunk's last hidden states at the trained positions where the mask is, hidden_BKH; of picked positions,
    hidden_1NH. On a GPU by kernels, in the backward pass too (`fused`)."""
    with fused(model):
        return _trained_hidden(model, batch)


def _trained_hidden(model: PreTrainedModel, batch: Sequences) -> Tensor:
    if batch.row_N is not None:
        return hidden_states(model, batch.ids_BL)[batch.row_N, batch.positions_K].unsqueeze(0)
    # A row that was left out of the loss counts as one with the shortest prompt: what follows it is read all the same.
    prompt_B1 = batch.positions_K[0] + 1 + (batch.mask_BK > 0).int().argmax(dim=1, keepdim=True)
    place_P = torch.arange(int(prompt_B1.max()), device=prompt_B1.device)
    of_rows_BP = batch.ids_BL[:, : len(place_P)].masked_fill(place_P >= prompt_B1, NOTHING)
    prompts_UP, row_B = torch.unique_consecutive(of_rows_BP, dim=0, return_inverse=True)
    rest = int((batch.lengths_B - prompt_B1.squeeze(1)).max()) - 1
    saved = batch.ids_BL.numel() - (prompts_UP.numel() + len(batch) * rest)
    padded = window_of(model) is not None and bool((prompts_UP == NOTHING).any())
    if padded or keeps_states(model) or unreadable(model) or not _is_worth(model, saved, batch.ids_BL.numel()):
        return hidden_states(model, batch.ids_BL)[:, batch.positions_K]
    # A row with a long prompt and a short response ends before the others: what it has beyond counts for nothing.
    place_BR = (prompt_B1 + torch.arange(rest, device=prompt_B1.device)).clamp(max=batch.ids_BL.shape[1] - 1)
    hidden_BSH = _hidden(model, prompts_UP, row_B, batch.ids_BL, place_BR)
    column_BK = (batch.positions_K - (prompt_B1 - 1)).clamp(0, rest)
    return hidden_BSH.gather(1, column_BK.unsqueeze(-1).expand(-1, -1, hidden_BSH.shape[-1]))


def _is_worth(model: Any, saved: int, whole: int) -> bool:
    """Whether a second pass over the layers costs less than reading the tokens that it saves, of so many."""
    if saved < WORTH * whole or model.device.type != "cuda":
        return saved >= WORTH * whole
    trunk = plain(model).base_model
    operations = (FORWARD + BACKWARD) * sum(parameter.numel() for parameter in trunk.parameters())
    return saved * operations >= LAUNCHES * trunk.config.get_text_config().num_hidden_layers


def _hidden(model: Any, prompts_UP: Tensor, row_B: Tensor, ids_BL: Tensor, place_BR: Tensor) -> Tensor:
    """Hidden states after each row's prompt and after its response tokens, hidden_BSH with S = 1 + R.

    Shorter prompts are padded on the right, where a causal mask hides the padding from them: between a prompt and its
    responses lies a gap, which a window that counts places would take for tokens. The cache keeps its graph: what the
    rows do to the keys and values of their prompt comes together in it.
    """
    cache = DynamicCache()  # Not of the config, of which it takes a window that the layers may not have.
    given: dict[str, Any] = {"use_cache": True, cache_keyword(model): cache}
    mask_UP = prompts_UP != NOTHING
    read_UPH = hidden_states(model, prompts_UP.clamp(min=0), **given)
    last_UH = read_UPH[torch.arange(len(mask_UP), device=mask_UP.device), mask_UP.sum(dim=1) - 1]
    last_B1H = _for_rows(last_UH, row_B).unsqueeze(1)
    if not place_BR.shape[1]:
        return last_B1H
    layers: list[Any] = cache.layers
    for layer in layers:
        layer.keys, layer.values = _for_rows(layer.keys, row_B), _for_rows(layer.values, row_B)
    ids_BR = ids_BL.gather(1, place_BR)
    if not mask_UP.all():
        given["attention_mask"] = torch.cat([mask_UP[row_B], torch.ones_like(ids_BR, dtype=torch.bool)], dim=1)
    rest_BRH = hidden_states(model, ids_BR, position_ids=place_BR, **given)
    return torch.cat([last_B1H, rest_BRH], dim=1)


def _for_rows(of_prompts: Any, row_B: Tensor) -> Any:
    """What belongs to each row's prompt. Its gradient is the sum over the prompt's rows in an order that never changes:
    on a CPU that of an index in brackets comes from several threads at once, on a GPU that of `index_select`."""
    return of_prompts[row_B] if of_prompts.is_cuda else of_prompts.index_select(0, row_B)


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
