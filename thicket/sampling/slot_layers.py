"""What the layers of a model keep of what it has read in each slot.

Legend: S slots, N slots that change at once, U prompts, P tokens of the longest, L cache positions, G key-value heads,
D their width.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import Cache, DynamicCache
from transformers.cache_utils import CacheLayerMixin, DynamicLayer, DynamicSlidingWindowLayer, LinearAttentionLayer


def of_all(config: Any) -> Cache:
    """A cache for prompts whose layers keep all keys and values that they see, those with a window too."""
    cache = DynamicCache(config=config)
    cache.layers = [DynamicLayer() if type(one) is DynamicSlidingWindowLayer else one for one in cache.layers]
    return cache


def slot_layer(read: Any, slots: int, length: int) -> Any:
    """Room for so many slots; `read`: the same layer of a cache that has read prompts."""
    states, keys = isinstance(read, LinearAttentionLayer), isinstance(read, CacheLayerMixin)
    if states and keys:
        return SlotBoth(read, slots, length)
    return SlotStates(read, slots) if states else SlotKeys(read, slots, length) if keys else SlotNothing()


class SlotKeys(CacheLayerMixin):
    """Keys and values of one layer, shape SGLD. Each slot has its own length, and a new token goes to its end."""

    keys: Any
    values: Any

    def __init__(self, read: Any, slots: int, length: int):
        """`read`: the layer of a cache that has read prompts."""
        super().__init__()
        # Under autocast, rotary embeddings turn bfloat16 keys into float32: they are kept in the type of the values.
        # Zeros, since what nobody looks at is multiplied by 0, and has to be a number.
        self.keys, self.values = (
            read.values.new_zeros(slots, of_prompts.shape[1], length, of_prompts.shape[3])
            for of_prompts in (read.keys, read.values)
        )
        self.at_S, self.reach, self.by_span, self.is_initialized = torch.empty(0), length, False, True

    @property
    def nbytes(self) -> int:
        return self.keys.nbytes + self.values.nbytes

    def put(self, read: Any, slots_N: Tensor, prompts_N: Tensor) -> None:
        for own_SGLD, read_UGPD in ((self.keys, read.keys), (self.values, read.values)):
            own_SGLD[slots_N, :, : read_UGPD.shape[2]] = read_UGPD[prompts_N].to(own_SGLD.dtype)

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        if self.by_span:
            from thicket.ops.kernels.attend import put

            put(key_states, value_states, self.keys, self.values, self.at_S)
            return self.keys, self.values
        slots_S = torch.arange(len(self.at_S), device=self.at_S.device)
        for own_SGLD, new_SG1D in ((self.keys, key_states), (self.values, value_states)):
            own_SGLD[slots_S, :, self.at_S] = new_SG1D[:, :, 0].to(own_SGLD.dtype)
        return self.keys[:, :, : self.reach], self.values[:, :, : self.reach]

    def keep(self, slots_N: Tensor) -> None:
        self.keys, self.values = self.keys[slots_N], self.values[slots_N]

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """The first prompts have set the shapes."""

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.reach, 0

    def get_seq_length(self) -> int:
        """None that all slots share: their positions are given."""
        return 0

    def get_max_length(self) -> int:
        return self.keys.shape[2]


class SlotStates(LinearAttentionLayer):
    """What a layer without keys makes of all that it has read: states of one size, each with a slot a row."""

    def __init__(self, read: LinearAttentionLayer, slots: int):
        super().__init__(number_of_states=read.number_of_states)
        for own, of_prompts in ((self.conv_states, read.conv_states), (self.recurrent_states, read.recurrent_states)):
            own.update({i: None if of is None else of.new_zeros(slots, *of.shape[1:]) for i, of in of_prompts.items()})
        self.is_conv_states_initialized = dict(read.is_conv_states_initialized)
        self.is_recurrent_states_initialized = dict(read.is_recurrent_states_initialized)
        self.conv_kernel_size, self.has_previous_state = dict(read.conv_kernel_size), dict(read.has_previous_state)

    @property
    def nbytes(self) -> int:
        return sum(state.nbytes for states in self._all() for state in states.values() if state is not None)

    def put(self, read: Any, slots_N: Tensor, prompts_N: Tensor) -> None:
        for own, of_prompts in zip(self._all(), (read.conv_states, read.recurrent_states), strict=True):
            for i, state in own.items():
                if state is not None:
                    state[slots_N] = of_prompts[i][prompts_N].to(state.dtype)

    def keep(self, slots_N: Tensor) -> None:
        for own in self._all():
            own.update({i: None if state is None else state[slots_N] for i, state in own.items()})

    def _all(self) -> Sequence[dict[int, Any]]:
        return self.conv_states, self.recurrent_states


class SlotBoth(SlotStates, SlotKeys):  # pyright: ignore[reportIncompatibleMethodOverride]
    """Of a layer that attends and keeps states besides."""

    def __init__(self, read: Any, slots: int, length: int):
        SlotKeys.__init__(self, read, slots, length)
        SlotStates.__init__(self, read, slots)

    @property
    def nbytes(self) -> int:
        return self.keys.nbytes + self.values.nbytes + super().nbytes

    def put(self, read: Any, slots_N: Tensor, prompts_N: Tensor) -> None:
        SlotKeys.put(self, read, slots_N, prompts_N)
        SlotStates.put(self, read, slots_N, prompts_N)

    def keep(self, slots_N: Tensor) -> None:
        SlotKeys.keep(self, slots_N)
        SlotStates.keep(self, slots_N)


class SlotNothing:
    """Of a layer that keeps nothing: a block of a multilayer perceptron by itself."""

    nbytes = 0

    def put(self, *_: Any) -> None:
        """There is nothing."""

    def keep(self, slots_N: Tensor) -> None:
        """There is nothing."""
