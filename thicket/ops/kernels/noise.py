"""Weights + Σ w_n ε_n in one pass over all parameters of a model, the same bits as from `thicket.ops.noise`.

A program makes some stretches of one parameter: for each direction the element's word, its deviate, and their sum in
registers; then the weights are read, and the sum is written once. Products and sums are rounded apart: the launch asks
for no fused ones, but for those with 0, which round as the product does. The table's common entries, 2 KiB for each
halving of p, stay in the cache next to the cores.

What takes the time are the instructions of an element, most of all shifts and logic, of which a GPU does half as many
a cycle as of others. So words are kept as halves of 32 bits, which take one instruction less a product; bits are not
masked where the table can take back what they add; and one is set by an addition of floating point, which is exact.
Legend: M rows (neighbours), D directions, P parameters, B programs.
"""

import struct
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

import torch
import triton  # pyright: ignore[reportMissingImports]
import triton.language as tl  # pyright: ignore[reportMissingImports]
from torch import Tensor

from thicket.ops import draws, noise
from thicket.ops.kernels.words import GOLDEN, MIX_1, MIX_2, mixed

BLOCK, WARPS = 2048, 4
"""Elements of a stretch: 16 a thread."""
STRETCHES = 4
"""Of a program, which share what it has to look up."""
TYPES = {torch.float32: tl.float32, torch.bfloat16: tl.bfloat16, torch.float16: tl.float16}
"""What weights may be in."""
_SIGN, _BELOW_SIGN = tl.constexpr(2**31), tl.constexpr(2**31 - 1)
_ABOVE_LAST = tl.constexpr(2**32 - 2 ** (noise.SPARE_BITS + 1))
_LAST = tl.constexpr(2.0**noise.SPARE_BITS)
_ENTRY_AT = tl.constexpr(noise.MANTISSA_BITS - noise.STEP_BITS)
_FRACTION_AT = tl.constexpr(noise.MANTISSA_BITS - noise.STEP_BITS - noise.FRACTION_BITS)
_FIRST_ENTRY = tl.constexpr((noise.EXPONENT_BIAS + noise.SPARE_BITS) << noise.STEP_BITS)
_LOW, _HALF = tl.constexpr(2**32 - 1), tl.constexpr(2**31)
_ABOVE_FRACTION = 32 - noise.FRACTION_BITS
_FEW_FLIPS, _ALTERNATING = tl.constexpr(noise.FEW_FLIPS), tl.constexpr(noise.ALTERNATING)
PARAMETERS = 256
"""Streams of a direction that a program makes."""


@triton.jit
def _folded(low, high, BY: tl.constexpr):
    """Both halves of word ^ word >> BY."""
    return low ^ ((low >> BY) | (high << (32 - BY))), high ^ (high >> BY)


@triton.jit
def _times(low, high, FACTOR: tl.constexpr):
    """Both halves of word · FACTOR."""
    wide = low.to(tl.uint64) * FACTOR
    return wide.to(tl.uint32), (wide >> 32).to(tl.uint32) + high * (FACTOR & _LOW)


@triton.jit
def _normal(word, table):
    """ε in the table's units, of SplitMix64's state."""
    low, high = _folded(word.to(tl.uint32), (word >> 32).to(tl.uint32), 30)
    low, high = _times(low, high, MIX_1)
    low, high = _folded(low, high, 27)
    low, high = _times(low, high, MIX_2)
    last, first = _folded(low, high, 31)
    # The odd number stays where it is, above the spare bits: a power of two more, which the exponent takes.
    even = (last & _ABOVE_LAST).to(tl.uint64) | ((first & _BELOW_SIGN).to(tl.uint64) << 32)
    place = (even.to(tl.float64) + _LAST).to(tl.uint64, bitcast=True)
    entry = tl.load(table + ((place >> _ENTRY_AT).to(tl.uint32) - _FIRST_ENTRY))
    # Above the fraction are bits of the entry's number, for which `table` makes up.
    fraction = (place >> _FRACTION_AT).to(tl.uint32)
    drop = ((entry.to(tl.uint32).to(tl.uint64) * fraction.to(tl.uint64) + _HALF) >> 32).to(tl.uint32)
    size = ((entry >> 32).to(tl.uint32) - drop).to(tl.int32).to(tl.float32)
    return (size.to(tl.uint32, bitcast=True) ^ (high & _SIGN)).to(tl.float32, bitcast=True)


@triton.jit
def _ones(word):
    """How many bits are set: of pairs, of fours, of bytes, and the bytes' sum in the highest one."""
    word -= (word >> 1) & 0x5555555555555555
    word = (word & 0x3333333333333333) + ((word >> 2) & 0x3333333333333333)
    word = (word + (word >> 4)) & 0x0F0F0F0F0F0F0F0F
    return (word * 0x0101010101010101) >> 56


@triton.jit(do_not_specialize=["parameters"])
def _streams(seeds, numbers, streams, parameters, PARAMETERS: tl.constexpr):
    """`noise.streams`, of one direction."""
    direction = tl.program_id(0)
    p = tl.program_id(1) * PARAMETERS + tl.arange(0, PARAMETERS)
    number = tl.load(numbers + p, mask=p < parameters, other=0)
    key = mixed(tl.load(seeds + direction) ^ number)
    gamma = mixed(key.to(tl.int64)) | 1
    gamma = tl.where(_ones(gamma ^ (gamma >> 1)) < _FEW_FLIPS, gamma ^ _ALTERNATING, gamma)
    out = streams + (direction * parameters + p) * 2
    tl.store(out, key.to(tl.int64), mask=p < parameters)
    tl.store(out + 1, gamma.to(tl.int64), mask=p < parameters)


@triton.jit
def _noise(d, parameter, start, streams, parameters, table, BLOCK: tl.constexpr):
    """ε of a direction, of a stretch of a parameter's elements."""
    stream = streams + (d * parameters + parameter) * 2
    gamma = tl.load(stream + 1)
    word = tl.arange(0, BLOCK) * gamma + (tl.load(stream) + start * gamma + GOLDEN)
    return _normal(word.to(tl.uint64), table)


@triton.jit(do_not_specialize=["directions", "parameters"])
def _shift(
    places, programs, streams, weights, counts, table, directions, parameters,
    TYPE: tl.constexpr, BLOCK: tl.constexpr, STRETCHES: tl.constexpr, EVERY: tl.constexpr,
):  # fmt: skip
    """`EVERY`: every row has a direction, so that no program has to be ready for none."""
    row, program = tl.program_id(1), programs + tl.program_id(0) * 2
    parameter, stretch = tl.load(program), tl.load(program + 1) * STRETCHES
    place, directed = places + parameter * 3, tl.load(counts + row)
    count = tl.load(place + 2)
    base = tl.load(place).to(tl.pointer_type(TYPE))
    out = tl.load(place + 1).to(tl.pointer_type(TYPE)) + row * count
    aligned = ((base.to(tl.int64) | out.to(tl.int64)) & 15) == 0
    # −0 can be added to any number without a change; as bits, for a compiler takes the constants 0 and −0 for one.
    none = ((directed == 0).to(tl.uint32) << 31).to(tl.float32, bitcast=True)
    first, last = row * directions, row * directions + directed
    if EVERY:
        tl.assume(last > first)
    i = tl.arange(0, BLOCK)
    for start in range(stretch.to(tl.int64) * BLOCK, min((stretch + STRETCHES).to(tl.int64) * BLOCK, count), BLOCK):
        inside, whole = i < count - start, aligned & (count - start >= BLOCK)
        # The weights are asked for first: they come while the noise is made.
        if whole:
            own = tl.load(tl.multiple_of(base + start, 16) + i, eviction_policy="evict_first")
        else:
            own = tl.load(base + start + i, mask=inside)
        if EVERY:  # 0 + ε·w of the first direction in one operation, which rounds once as those two do
            noise = _noise(first, parameter, start, streams, parameters, table, BLOCK)
            total = tl.fma(noise, tl.load(weights + first), 0.0)
        else:
            total = tl.full([BLOCK], none, tl.float32)
        for d in range(first + EVERY, last):
            total += _noise(d, parameter, start, streams, parameters, table, BLOCK) * tl.load(weights + d)
        moved = (own.to(tl.float32) + total).to(TYPE)
        if whole:
            tl.store(tl.multiple_of(out + start, 16) + i, moved, eviction_policy="evict_first")
        else:
            tl.store(out + start + i, moved, mask=inside)


_SHIFT: Any = _shift
_STREAMS: Any = _streams


class Launch:
    """Writes base + Σ_d w_d ε_d of all parameters to M rows of `out`, which may be the base's memory where M is 1.

    A parameter's `out` is M times as large as its base, in one piece like it, and all are of one type and device.
    """

    def __init__(self, names: Sequence[str], base_P: Sequence[Tensor], out_P: Sequence[Tensor], rows: int):
        """`rows`: M."""
        assert all(one.is_contiguous() for one in (*base_P, *out_P))
        assert all(out.numel() == rows * base.numel() for base, out in zip(base_P, out_P, strict=True))
        self.rows, self.device, self.type = rows, base_P[0].device, TYPES[base_P[0].dtype]
        self.number_P = draws.keys_tensor([noise.number_of(name) for name in names]).to(self.device)
        places = [(base.data_ptr(), out.data_ptr(), base.numel()) for base, out in zip(base_P, out_P, strict=True)]
        self.places_P3 = torch.tensor(places, dtype=torch.int64).to(self.device)
        self.programs_B2 = _programs([count for *_, count in places]).to(self.device)
        self.still_M = torch.zeros(rows, dtype=torch.int32, device=self.device)

    def __call__(self, steps: Sequence[Sequence[tuple[int, float]]]) -> None:
        """`steps`: seed and weight of each row's directions; no weight is below `noise.SMALLEST_WEIGHT`."""
        most = max(map(len, steps))
        if most == 0:  # a copy, which is too fast to wait for tables that nothing reads
            none_MDP2 = self.places_P3.new_empty(self.rows, 0, len(self.number_P), 2)
            self._move(none_MDP2, torch.empty(0), self.still_M, every=False)
            return
        filled = [step for own in steps for step in (*own, *[(0, 0.0)] * (most - len(own)))]
        seeds_E, weights_E, counts_M = self._sent(filled, list(map(len, steps)))
        streams_MDP2 = seeds_E.new_empty(self.rows, most, len(self.number_P), 2)
        with torch.cuda.device_of(self.places_P3):  # a kernel runs on the current device
            _STREAMS[(len(filled), -(-len(self.number_P) // PARAMETERS))](
                seeds_E, self.number_P, streams_MDP2, len(self.number_P), PARAMETERS=PARAMETERS
            )
        self._move(streams_MDP2, weights_E, counts_M, every=min(map(len, steps)) > 0)

    def run(self, streams_MDP2: Tensor, weights_MD: Tensor, counts_M: Tensor) -> None:
        """`counts_M`: how many of its directions a row goes along, the first ones."""
        in_units_MD = weights_MD * 2.0**-noise.SCALE_BITS
        self._move(streams_MDP2.to(self.device), in_units_MD.to(self.device), counts_M.to(self.device), every=False)

    def _sent(self, steps: Sequence[tuple[int, float]], counts: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
        """Seeds as keys, weights in the table's unit, and counts, on the device, by one copy that nothing waits for."""
        seeds = [draws.key(seed) for seed, _ in steps]
        # A power of two: float32 rounds the product as it rounds the weight.
        weights = [weight * 2.0**-noise.SCALE_BITS for _, weight in steps]
        form = struct.Struct(f"{len(seeds)}Q{len(weights)}f{len(counts)}i")
        packed = torch.frombuffer(bytearray(form.pack(*seeds, *weights, *counts)), dtype=torch.uint8)
        if self.device.type == "cuda":
            packed = packed.pin_memory()
        there = packed.to(self.device, non_blocking=True)
        ends = 8 * len(seeds), 12 * len(seeds)
        parts = there[: ends[0]], there[ends[0] : ends[1]], there[ends[1] :]
        return parts[0].view(torch.int64), parts[1].view(torch.float32), parts[2].view(torch.int32)

    def _move(self, streams_MDP2: Tensor, in_units_MD: Tensor, counts_M: Tensor, every: bool) -> None:
        with torch.cuda.device_of(self.places_P3):
            _SHIFT[(len(self.programs_B2), self.rows)](
                self.places_P3, self.programs_B2, streams_MDP2, in_units_MD, counts_M, table(self.device),
                *streams_MDP2.shape[1:3],
                TYPE=self.type, BLOCK=BLOCK, STRETCHES=STRETCHES, EVERY=every, num_warps=WARPS, enable_fp_fusion=False,
            )  # fmt: skip


def _programs(counts: Sequence[int]) -> Tensor:
    """What each program makes: a parameter's place among those of so many elements, and which part of it."""
    parts_P = torch.tensor([-(-count // (BLOCK * STRETCHES)) for count in counts])
    parameter_B = torch.arange(len(counts)).repeat_interleave(parts_P)
    part_B = torch.arange(len(parameter_B)) - (parts_P.cumsum(0) - parts_P)[parameter_B]
    return torch.stack([parameter_B, part_B], dim=1).int()


@lru_cache(maxsize=8)
def table(device: torch.device) -> Tensor:
    """Each entry of `noise.quantiles` as `_normal` takes it, with the drop to the next one in its lower half.

    The drop is multiplied by 32 bits, the fraction and, above it, the lowest ones of the entry's number, so that the
    product is too large by a whole number of drops: they are added here. That it ends at the higher half is a factor.
    """
    numbers = range(_FIRST_ENTRY.value, _FIRST_ENTRY.value + (noise.OCTAVES << noise.STEP_BITS))
    packed = [
        entry + (entry - after) * (number % 2**_ABOVE_FRACTION) << 32 | (entry - after) << _ABOVE_FRACTION
        for number, (entry, after) in zip(numbers, pairwise(noise.quantiles()), strict=True)
    ]
    return torch.tensor(packed, dtype=torch.int64, device=device)
