"""The slots of the decode loop: what each model has read of the texts that are being written, a slot a text.

On a GPU a kernel attends to a slot's own places alone. What a Reader keeps between two decodings are the caches: the
model that reads is lent to it (`opened`), so that no cache keeps a model alive.

Legend: U prompts, P tokens of the longest, S slots, L cache positions, N slots that change at once, Q query heads, G
key-value heads, D their width, H hidden width, V vocabulary.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from inspect import signature
from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface, Cache, DynamicCache

from thicket.models.head import head_logits, plain
from thicket.sampling.slot_layers import SlotKeys, of_all, slot_layer

FULL, SLIDING = "full_attention", "sliding_attention"
LINEAR, STATES, NOTHING = "linear_attention", {"linear_attention", "conv", "hybrid"}, {"mlp", "moe"}
"""Kinds of layers, as configs of transformers name them: those that keep states, `hybrid` beside keys and values, and
what keeps neither. Others can't be read token by token here."""
BY_SPAN = "thicket_by_span"
"""The name of our attention among those of transformers."""
UNREAD = ("softcap", "s_aux", "position_bias")
"""What some families give their attention besides, which ours does not read."""


class CanNotDecode(ValueError):
    """The decode loop does not know how a model keeps what it has read."""


class Reader:
    """A model, and what it has read in each slot."""

    def __init__(self, slots: int, length: int, words: int | None):
        """`words`: of the vocabulary, those that count; None: all."""
        self.slots, self.length, self.words = slots, length, words
        self._layers: list[Any] = []

    @property
    def nbytes(self) -> int:
        """Of the caches."""
        return sum(layer.nbytes for layer in self._layers)

    @contextmanager
    def opened(self, model: Any) -> Iterator[None]:
        """Within the block the model reads.

        Raises: CanNotDecode where it can't be read token by token (`unreadable`).
        """
        if wrong := unreadable(model):
            raise CanNotDecode(wrong)
        self.model, self._trunk = model, plain(model).base_model
        self._keyword, self._window, self._by_span = cache_keyword(model), window_of(model), _attends_by_span(model)
        try:
            yield
        finally:
            del self.model, self._trunk

    def read_prompts(self, ids_UP: Tensor, lengths_U: Tensor) -> tuple[Tensor, Cache]:
        """Reads right-padded prompts; the logits_UV after each, and what `store` takes."""
        if not keeps_states(self.model):
            # Padding lies behind all that a causal mask lets a prompt's own tokens see.
            return self._read(ids_UP, lengths_U, DynamicCache())
        # A state would be of the padding too: prompts of one length are read at a time.
        logits: list[Tensor] = []
        layers: list[Any] = []
        groups = [(lengths_U == length).nonzero()[:, 0] for length in lengths_U.unique()]
        for own_N in groups:
            ids_NP = ids_UP[own_N, : int(lengths_U[own_N[0]])]
            logits_NV, cache = self._read(ids_NP, lengths_U[own_N], of_all(plain(self.model).config))
            logits.append(logits_NV)
            layers = layers or [slot_layer(layer, *ids_UP.shape) for layer in cache.layers]
            for layer, read in zip(layers, cache.layers, strict=True):
                layer.put(read, own_N, torch.arange(len(own_N), device=own_N.device))
        return torch.cat(logits)[torch.cat(groups).argsort()], Cache(layers=layers)

    def _read(self, ids_UP: Tensor, lengths_U: Tensor, cache: Cache) -> tuple[Tensor, Cache]:
        # A row of positions for each prompt: `stacked` deals rows to neighbours, also those of learned positions.
        position_UP = torch.arange(ids_UP.shape[1], device=ids_UP.device).expand(ids_UP.shape)
        hidden_UPH = self._hidden(ids_UP, cache, position_ids=position_UP)
        rows_U = torch.arange(len(ids_UP), device=ids_UP.device)
        return self._logits(hidden_UPH[rows_U, lengths_U - 1]), cache

    def store(self, cache: Cache, slots_N: Tensor, prompts_N: Tensor) -> None:
        """Puts what was read of a prompt into each slot that continues it."""
        if not self._layers:
            self._layers = [slot_layer(layer, self.slots, self.length) for layer in cache.layers]
        for layer, read in zip(self._layers, cache.layers, strict=True):
            layer.put(read, slots_N, prompts_N)

    def read(self, tokens_S: Tensor, at_S: Tensor, reach: int, used_S: Tensor) -> Tensor:
        """Reads a token more in each slot, at its place; logits_SV after it. No place is at `reach` or beyond.

        What the slots say that are not used is of no use.
        """
        for layer in self._layers:
            if isinstance(layer, SlotKeys):
                layer.at_S, layer.reach, layer.by_span = at_S, reach, self._by_span
        seen = self._spans(at_S.masked_fill(~used_S, -1)) if self._by_span else self._masks(at_S, reach)
        given = {"attention_mask": seen, "position_ids": at_S.unsqueeze(1)}
        with self._attention():
            hidden_S1H = self._hidden(tokens_S.unsqueeze(1), Cache(layers=self._layers), **given)
        return self._logits(hidden_S1H[:, 0])

    def keep(self, slots_N: Tensor) -> None:
        """Gives up all other slots."""
        self.slots = len(slots_N)
        for layer in self._layers:
            layer.keep(slots_N)

    @contextmanager
    def _attention(self) -> Iterator[None]:
        """Within the block, the model's layers attend by spans, where they can."""
        config = plain(self.model).config.get_text_config()
        before = config._attn_implementation
        config._attn_implementation = BY_SPAN if self._by_span else before
        try:
            yield
        finally:
            config._attn_implementation = before

    def _hidden(self, ids_BL: Tensor, cache: Cache, **given: Any) -> Tensor:
        return self._trunk(input_ids=ids_BL, use_cache=True, **{self._keyword: cache}, **given).last_hidden_state

    def _logits(self, hidden_BH: Tensor) -> Tensor:
        return head_logits(self.model, hidden_BH)[:, : self.words]

    def _masks(self, at_S: Tensor, reach: int) -> Tensor | dict[str, Tensor]:
        """What each slot's new token sees, visible_S11L: of each kind of layer, where a model has several."""
        place_L, at_S1 = torch.arange(reach, device=at_S.device), at_S.unsqueeze(1)
        visible_SL = place_L <= at_S1
        full_S11L = self._mask(visible_SL)
        if self._window is None:
            return self._by_kind(full_S11L, None)
        return self._by_kind(full_S11L, self._mask(visible_SL & (place_L > at_S1 - self._window)))

    def _by_kind(self, full: Tensor, near: Tensor | None) -> Any:
        """What each kind of layer is given of full and near masks: one, where all layers are of a kind."""
        kinds = _kinds(self.model)
        if not kinds or (near is None and not kinds & STATES):
            return full if near is None else near
        return {**dict.fromkeys(kinds), LINEAR: None, FULL: full, SLIDING: near}

    def _spans(self, last_S: Tensor) -> Tensor | dict[str, Tensor]:
        """The first and the last place that each slot's new token sees, in the form of a mask: span_S112."""
        full_S112 = torch.stack([torch.zeros_like(last_S), last_S], dim=1)[:, None, None]
        if self._window is None:
            return self._by_kind(full_S112, None)
        near_S112 = torch.stack([(last_S - self._window + 1).clamp(min=0), last_S], dim=1)[:, None, None]
        return self._by_kind(full_S112, near_S112)

    def _mask(self, visible_SL: Tensor) -> Tensor:
        """In the form that the model's attention takes: some families (Gemma 2) add it to the scores."""
        visible_S11L = visible_SL[:, None, None, :]
        if plain(self.model).config.get_text_config()._attn_implementation != "eager":
            return visible_S11L
        least = torch.finfo(self.model.dtype).min
        return torch.zeros(visible_S11L.shape, dtype=self.model.dtype, device=visible_SL.device).masked_fill(
            ~visible_S11L, least
        )


def _attention_by_span(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor,
    scaling: float | None = None,
    **given: Any,
) -> tuple[Tensor, None]:
    """As transformers calls attention; the mask is of spans."""
    from thicket.ops.kernels.attend import attend

    unread = [name for name in UNREAD if given.get(name) is not None]
    assert not unread, f"{type(module).__name__} attends with {unread}"
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    return attend(query, key, value, attention_mask[:, 0, 0], scale), None


AttentionInterface.register(BY_SPAN, _attention_by_span)


def _attends_by_span(model: Any) -> bool:
    """Whether the kernel does all that the model's attention does: on a GPU, without caps and without sinks."""
    bare = plain(model)
    config = bare.config.get_text_config()
    plainly = getattr(config, "attn_logit_softcapping", None) is None
    plainly &= not any(name.endswith("sinks") for name, _ in bare.named_parameters())
    return bare.device.type == "cuda" and type(bare)._supports_attention_backend and plainly


def cache_keyword(model: Any) -> str:
    """What a model calls its cache: `cache` in most of transformers since 5.24, `past_key_values` before."""
    return "cache" if "cache" in signature(type(plain(model)).forward).parameters else "past_key_values"


def unreadable(model: Any) -> str:
    """Why a model can't be read token by token; empty where it can be."""
    kind, others = type(plain(model)), sorted(_kinds(model) - {FULL, SLIDING} - STATES - NOTHING)
    if others:
        return f"{kind.__name__}: layers of {others} can't be decoded"
    masked = kind._supports_attention_backend or kind._supports_sdpa
    return "" if masked else f"{kind.__name__}: its attention takes no mask but its own, and can't be decoded"


def keeps_states(model: Any) -> bool:
    """Whether some layers keep a state of all that was read, padding too, and not keys and values of each token."""
    return bool(_kinds(model) & STATES)


def window_of(model: Any) -> int | None:
    """How many tokens the layers see, or some of them; None: all see everything."""
    some = not _kinds(model) or SLIDING in _kinds(model)
    config = plain(model).config.get_text_config()
    # One that a file gives to a family without windows means nothing to its layers.
    return getattr(config, "sliding_window", None) if some and hasattr(type(config), "sliding_window") else None


def _kinds(model: Any) -> set[str]:
    """Of layers; empty where the config names none."""
    return set(getattr(plain(model).config.get_text_config(), "layer_types", None) or ())
