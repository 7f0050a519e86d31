"""Random draws as a function of their name: no generator has a state that a resumed run would have to restore.

Each row of a batch has a key; a draw is a function of (key, step) alone, so a row's sample depends neither on the other
rows nor on the batch's size or device. The mixing function is SplitMix64 (Steele, Lea & Flood 2014, "Fast splittable
pseudorandom number generators"). Legend: B rows.
"""

import torch
from torch import Tensor

_WORD = 2**64
GOLDEN = 0x9E3779B97F4A7C15
MIX_1 = 0xBF58476D1CE4E5B9
MIX_2 = 0x94D049BB133111EB


def mix(word: int) -> int:
    """SplitMix64's output function of a 64-bit word."""
    word = (word + GOLDEN) % _WORD
    word = (word ^ (word >> 30)) * MIX_1 % _WORD
    word = (word ^ (word >> 27)) * MIX_2 % _WORD
    return word ^ (word >> 31)


def key(*parts: int) -> int:
    """A 64-bit key of several whole numbers, in which order counts."""
    word = 0
    for part in parts:
        word = mix(word ^ (part % _WORD))
    return word


def keys_tensor(keys: list[int], device: torch.device | str = "cpu") -> Tensor:
    """Keys as a tensor of signed words, keys_B."""
    return torch.tensor([signed(k) for k in keys], dtype=torch.int64, device=device)


def signed(word: int) -> int:
    """A 64-bit word as the signed one with the same bits."""
    return word - _WORD if word >= _WORD // 2 else word


def shift_right(word_B: Tensor, by: int) -> Tensor:
    """Logical shift (torch shifts signed words arithmetically)."""
    return (word_B >> by) & ((1 << (64 - by)) - 1)


def mixed(word_B: Tensor) -> Tensor:
    """`mix` of each word of a tensor of signed words (int64, whose products wrap)."""
    word_B = word_B + signed(GOLDEN)
    word_B = (word_B ^ shift_right(word_B, 30)) * signed(MIX_1)
    word_B = (word_B ^ shift_right(word_B, 27)) * signed(MIX_2)
    return word_B ^ shift_right(word_B, 31)


def uniform(keys_B: Tensor, step: int | Tensor) -> Tensor:
    """One number in [0, 1) for each row, uniform_B in float64 with 53 random bits; a step for all rows, or step_B."""
    word = mixed(step) if isinstance(step, Tensor) else signed(mix(step))
    return shift_right(mixed(keys_B ^ word), 11).double() * 2.0**-53
