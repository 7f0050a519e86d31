"""The decode loop: one token a step for all rows, over a static key-value cache.

It serves rollouts, evaluation, votes and cross-sampling. Legend: U distinct prompts, G responses a prompt, B = U·G
rows, P prompt tokens, T response tokens, L = P + T cache positions, V vocabulary.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from inspect import signature
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel, StaticCache
from transformers.cache_utils import StaticLayer

from thicket.models.head import plain
from thicket.models.pooled import Pooled, pooled, voices
from thicket.ops import draws
from thicket.ops.sampling import gather, inverse_cdf, warped_log_probs
from thicket.sampling.prompts import Prompts, Tokenizer


@dataclass(frozen=True)
class Decoding:
    """How tokens are drawn."""

    temperature: float
    """0: the likeliest token, and no draws."""
    top_k: int = 0
    top_p: float = 1.0
    most: int = 1
    """Longest response in tokens (T)."""


@dataclass(frozen=True)
class Decoded:
    """Responses, right-padded with zeros to the longest."""

    tokens_BT: Tensor
    log_probs_BT: Tensor
    """Log-probability of each token under the distribution that it was drawn from (behaviour); 0 in the padding."""
    lengths_B: Tensor
    """Tokens of each response, the one that stopped it included."""
    stopped_B: Tensor
    """True where a stop token ended the response, False where it was truncated."""


class _Cache(StaticCache):
    """Keys in the type of the values: under autocast, rotary embeddings turn bfloat16 keys into float32."""

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        return super().update(key_states.to(value_states.dtype), value_states, layer_idx, *args, **kwargs)


Choose = Callable[[list[Tensor], int], tuple[Tensor, Tensor]]
"""(logits_BV of each model, step) → the rows' next tokens and their behaviour log-probabilities, both of shape B."""


@torch.no_grad()
def decode(
    model: PreTrainedModel | Pooled, prompts: Prompts, keys_B: Tensor, decoding: Decoding, stop_ids: list[int]
) -> Decoded:
    """Continues each of U prompts G = B/U times; row b continues prompt b // G with the draws of keys_B[b]."""
    shares = [share for _, share in voices(model)]

    def choose(logits: list[Tensor], step: int) -> tuple[Tensor, Tensor]:
        return draw(pooled(logits, shares), keys_B, step, decoding)

    models, words = [one for one, _ in voices(model)], getattr(model, "words", None)
    return lockstep(models, words, prompts, len(keys_B), decoding.most, stop_ids, choose)


@torch.no_grad()
def lockstep(
    models: Sequence[Any],
    words: int | None,
    prompts: Prompts,
    rows: int,
    most: int,
    stop_ids: list[int],
    choose: Choose,
) -> Decoded:
    """Continues each of U prompts G = rows/U times, by at most so many tokens; each model reads all that is chosen.

    `words`: of the vocabulary, those that count; None: all. Prompts are read once and their cache is shared out to the
    G rows. The loop ends when all rows have stopped.
    """
    device = prompts.ids_BP.device
    group, width = rows // prompts.ids_BP.shape[0], prompts.ids_BP.shape[1]
    readers = [_Reader(model, width + most, words) for model in models]
    logits = [one_UV.repeat_interleave(group, dim=0) for one_UV in _prefill(readers, prompts, most)]
    for reader in readers:
        reader.share(group)

    visible_B11L = _visible(prompts.mask_BP.repeat_interleave(group, dim=0), most)
    positions_B = prompts.mask_BP.sum(dim=1).repeat_interleave(group)
    stops = torch.tensor(stop_ids, device=device)
    tokens_BT = torch.zeros((rows, most), dtype=torch.long, device=device)
    log_probs_BT = torch.zeros((rows, most), device=device)
    lengths_B = torch.zeros(rows, dtype=torch.long, device=device)
    running_B = torch.ones(rows, dtype=torch.bool, device=device)
    for step in range(most):
        token_B, log_prob_B = choose(logits, step)
        tokens_BT[:, step] = token_B * running_B
        log_probs_BT[:, step] = log_prob_B * running_B
        lengths_B += running_B
        running_B = running_B & ~torch.isin(token_B, stops)
        if step + 1 == most or not running_B.any():
            break
        visible_B11L[..., width + step] = True
        given = {"attention_mask": visible_B11L, "position_ids": (positions_B + step).unsqueeze(-1)}
        logits = [reader.read(tokens_BT[:, step : step + 1], **given) for reader in readers]
    longest = int(lengths_B.max())
    return Decoded(tokens_BT[:, :longest], log_probs_BT[:, :longest], lengths_B, ~running_B)


def ends(models: Sequence[Any], stop_ids: Sequence[int]) -> list[int]:
    """Tokens that end a response: `stop_ids`, and the ends of a text that the models themselves declare."""
    return sorted({*stop_ids, *(end for model in models for end in declared_ends(model.generation_config))})


def declared_ends(config: Any) -> list[int]:
    """Tokens that end a text, as a generation config says."""
    declared = getattr(config, "eos_token_id", None)
    return [] if declared is None else [declared] if isinstance(declared, int) else list(declared)


def texts(decoded: Decoded, tokenizer: Tokenizer, stop: str | None) -> list[str]:
    """The responses as text, up to the stop character."""
    rows = zip(decoded.tokens_BT.tolist(), decoded.lengths_B.tolist(), strict=True)
    whole = tokenizer.batch_decode([tokens[:length] for tokens, length in rows], skip_special_tokens=True)
    return [text.split(stop)[0] if stop else text for text in whole]


class _Reader:
    """A model with what it has read."""

    def __init__(self, model: Any, length: int, words: int | None):
        self.model, self.words = model, words
        self.cache = _Cache(config=model.config, max_cache_len=length)

    def read(self, ids_BL: Tensor, **given: Any) -> Tensor:
        """Reads on; logits_BV after the last position."""
        keyword = {cache_keyword(self.model): self.cache}
        return self.model(input_ids=ids_BL, use_cache=True, **given, **keyword).logits[:, -1, : self.words]

    def share(self, group: int) -> None:
        """Repeats each prompt's cache for the rows of its group."""
        for layer in self.cache.layers if group > 1 else ():
            assert isinstance(layer, StaticLayer)
            assert layer.keys is not None
            assert layer.values is not None
            layer.keys = layer.keys.repeat_interleave(group, dim=0)
            layer.values = layer.values.repeat_interleave(group, dim=0)


def _prefill(readers: list[_Reader], prompts: Prompts, most: int) -> list[Tensor]:
    """Reads the prompts; each model's logits_UV of the first response token."""
    length = prompts.ids_BP.shape[1]
    causal_PP = torch.ones((length, length), dtype=torch.bool, device=prompts.ids_BP.device).tril()
    # A padding position sees itself: a row that sees nothing would be NaN, and spread through its values.
    itself_PP = torch.eye(length, dtype=torch.bool, device=prompts.ids_BP.device)
    seen_U1PP = (causal_PP & prompts.mask_BP[:, None, None, :]) | itself_PP
    given = {
        "attention_mask": torch.nn.functional.pad(seen_U1PP, (0, most)),
        "position_ids": (prompts.mask_BP.cumsum(dim=1) - 1).clamp(min=0),
        "logits_to_keep": 1,
    }
    return [reader.read(prompts.ids_BP, **given) for reader in readers]


def cache_keyword(model: Any) -> str:
    """What a model calls its cache: `cache` in most of transformers since 5.24, `past_key_values` before."""
    return "cache" if "cache" in signature(type(plain(model)).forward).parameters else "past_key_values"


def _visible(mask_BP: Tensor, most: int) -> Tensor:
    """Attention mask of one new token over the whole cache, visible_B11L: the prompt; response tokens follow later."""
    return torch.nn.functional.pad(mask_BP, (0, most))[:, None, None, :]


def draw(logits_BV: Tensor, keys_B: Tensor, step: int, decoding: Decoding) -> tuple[Tensor, Tensor]:
    """Tokens and their behaviour log-probabilities, both of shape B; greedy decoding has log-probability 0."""
    if decoding.temperature == 0:
        token_B = logits_BV.argmax(dim=-1)
        return token_B, torch.zeros(token_B.shape, device=token_B.device)
    log_probs_BV = warped_log_probs(logits_BV, decoding.temperature, decoding.top_k, decoding.top_p)
    token_B = inverse_cdf(log_probs_BV, draws.uniform(keys_B, step))
    return token_B, gather(log_probs_BV, token_B)
