"""Whether a model from elsewhere is run as it is: its trunk and head apart, and its text token by token.

Of some of transformers' families the head is more than their last layer (ModernBERT's decoder, RoBERTa), others keep
more than keys and values in their layers' order (looped ones): thicket would train and sample another model, and
nothing would say so. Legend: L tokens of a text, V vocabulary.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from thicket.models.head import head_logits, hidden_states
from thicket.ops import draws
from thicket.sampling.decode import Decoding, decode
from thicket.sampling.prompts import Tokenizer
from thicket.sampling.reading import target_log_probs, trained_hidden
from thicket.sampling.rollouts import sequences
from thicket.sampling.slots import CanNotDecode
from thicket.sampling.writing import Rows

TEXTS = ("1 + 2 = 3 and 2 + 3 =", "The capital of France is", "a")
"""Of several lengths; characters that a tokenizer does not know do no harm."""
READ, WRITTEN = 8, 8
"""Tokens of a text at most, and after it: few enough for any context."""
NEAR, MOST = 0.05, 0.25
"""A log-probability that is farther off, in nats, is another one; a mixture of experts may rarely choose another expert
after other rounding, so that a share of them may be."""


@torch.no_grad()
def check_faithful(model: PreTrainedModel, tokenizer: Tokenizer, shown: str) -> None:
    """Notes where a model can't be decoded: an engine of its own may be able to.

    Raises: ValueError, beginning with `shown`, where what thicket makes of it is not what the model itself gives.
    """
    kind = f"{shown}: {type(model).__name__}"
    prompts = [ids[:READ] for text in TEXTS if (ids := tokenizer(text).input_ids)]
    if not all(_head_is_its_own(model, torch.tensor(ids)) for ids in prompts):
        raise ValueError(f"{kind}: its logits are not those of its last layer alone, and can't be trained on")
    _compare(f"{kind}: in a batch", lambda: _read(model, prompts))
    try:
        _compare(f"{kind}: token by token", lambda: _written(model, prompts))
    except CanNotDecode as error:
        print(f"Note: {shown}: {error}", flush=True)


def _compare(shown: str, off: Callable[[], Tensor]) -> None:
    """Raises: ValueError where too many log-probabilities are off."""
    try:
        off_N = off()
    except CanNotDecode:
        raise
    except Exception as error:  # What a family keeps that thicket does not know of can make it raise anything.
        raise ValueError(f"{shown} it can't be read: {type(error).__name__}: {error}") from error
    if not _are_near(off_N):
        wrong = f"log-probabilities differ by up to {off_N.max():.2g}"
        raise ValueError(f"{shown} it is not the model that it is for one text as a whole ({wrong})")


def _read(model: PreTrainedModel, prompts: list[list[int]]) -> Tensor:
    """By how much log-probabilities in training differ from the model's own, where two responses share a prompt."""
    rows = [(prompt, prompt[::-1][:count]) for prompt in prompts for count in (WRITTEN, 1)]
    batch = sequences([prompt for prompt, _ in rows], [response for _, response in rows], "cpu")
    found_BK, _ = target_log_probs(model, trained_hidden(model, batch), batch)
    own = [_log_probs(model, prompt, torch.tensor(response)) for prompt, response in rows]
    return (found_BK[batch.mask_BK > 0] - torch.cat(own)).abs()


def _written(model: PreTrainedModel, prompts: list[list[int]]) -> Tensor:
    """By how much log-probabilities of what the decode loop writes differ from the model's own."""
    rows = Rows(prompts, range(len(prompts)), len(prompts))
    keys = draws.keys_tensor([draws.key(row) for row in rows.prompt_R])
    written = decode(model, rows, keys, Decoding(1.0, most=WRITTEN), stop_ids=[])
    pairs = zip(prompts, written.tokens_RT, strict=True)
    own_RT = torch.stack([_log_probs(model, ids, tokens_T) for ids, tokens_T in pairs])
    return (own_RT - written.log_probs_RT).abs()


def _head_is_its_own(model: PreTrainedModel, ids_L: Tensor) -> bool:
    try:
        apart_LV = head_logits(model, hidden_states(model, ids_L[None])[0])
    except Exception:  # No trunk with hidden states, a head of another width, or whatever a family has there.
        return False
    return _are_near((_logits(model, ids_L).log_softmax(-1) - apart_LV.log_softmax(-1)).abs())


def _are_near(off: Tensor) -> bool:
    return bool((off > NEAR).float().mean() <= MOST)


def _log_probs(model: PreTrainedModel, prompt: list[int], tokens_T: Tensor) -> Tensor:
    """Of the written tokens, by the model's own reading of the whole."""
    ids_L = torch.cat([torch.tensor(prompt), tokens_T])
    log_probs_LV = _logits(model, ids_L).log_softmax(-1)
    return log_probs_LV[len(prompt) - 1 : -1].gather(1, tokens_T[:, None])[:, 0]


def _logits(model: Any, ids_L: Tensor) -> Tensor:
    return model(input_ids=ids_L[None], use_cache=False).logits[0].float()
