"""Normal noise as a function of its name: (key, element) → ε, the same bits on every device and in every layout.

A key is of a seed and a parameter's name, so that parameters of one shape get different noise, and any slice of a
parameter's elements can be made where it is needed. The steps, all in whole numbers until the last:

1. A word for each element: SplitMix64's output function over key + i·γ, where the key gives γ too (an odd word, as in
   the `split` of Steele, Lea & Flood 2014), so that no stretch of one stream is another's.
2. Its sign bit is the sign. 52 more bits make an odd number u below 2^53; p = u/2^53 is the chance of a larger |ε|.
3. |ε| is the normal quantile at p, linear between the entries of a table with 256 steps to an octave of p, in units of
   2^-20. The octave is where the leading one of u stands, so the tail is as finely divided as the middle: |ε| ends at
   8.3, and is off by less than 2·10^-6 at every p.
4. One conversion to float32, which is exact: the whole number is below 2^24, and 2^-20 is a power of two.

There is no logarithm or cosine, whose last bits are each device's own, and no a·b + c in floating point, which one
compiler contracts to one rounding and another doesn't. Legend: N elements, D seeds, P parameters.
"""

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from statistics import NormalDist

import torch
from torch import Tensor

from thicket.ops import draws

OCTAVES, STEP_BITS = 53, 8
"""Of p from 2^-53 to 1; and the steps of an octave, as a power of two."""
SCALE_BITS = 20
"""The table's unit is 2^-20: 8.3 of them fill 24 bits, which float32 holds."""
SMALLEST_WEIGHT = 2.0 ** (SCALE_BITS - 126)
"""The smallest that noise is weighted with by a kernel: in the table's unit float32 still holds it as exactly."""
FRACTION_BITS = 20
"""Of the place between two entries, which are at most 2^12 units apart."""
CHUNKS = {"cpu": 2**16, "cuda": 2**24}
"""Elements that are made at once: on a CPU what stays in its cache, on a GPU what fills it."""
MANTISSA_BITS, EXPONENT_BIAS = 52, 1023  # float64
SPARE_BITS = 63 - OCTAVES  # The word's lowest, of which nothing is made; the highest is the sign.
DROP_BITS = 32  # where an entry of the packed table begins
FEW_FLIPS, ALTERNATING = 24, 0xAAAAAAAAAAAAAAAA


def key_of(seed: int, name: str) -> int:
    """The key of a parameter's noise."""
    return draws.key(seed, number_of(name))


def number_of(name: str) -> int:
    """The part that a parameter's name has in its keys."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")


def normal(key: int, start: int, stop: int, device: torch.device | str = "cpu") -> Tensor:
    """ε of the elements start … stop of a parameter (row-major), noise_N in float32."""
    noise_N = torch.empty(stop - start, device=device)
    size = CHUNKS.get(noise_N.device.type, CHUNKS["cpu"])
    for first in range(start, stop, size):
        last = min(first + size, stop)
        noise_N[first - start : last - start] = _chunk(key, first, last, noise_N.device)
    return noise_N


def _chunk(key: int, start: int, stop: int, device: torch.device) -> Tensor:
    index_N = torch.arange(start, stop, device=device)
    return _quantile(draws.mixed(index_N.mul_(draws.signed(_gamma(key))).add_(draws.signed(key))))


def _gamma(key: int) -> int:
    """An odd step whose bits change often enough (`mixGamma` of Steele, Lea & Flood 2014)."""
    gamma = draws.mix(key) | 1
    return gamma ^ ALTERNATING if (gamma ^ gamma >> 1).bit_count() < FEW_FLIPS else gamma


def streams(seeds: Sequence[int], number_P: Tensor) -> Tensor:
    """Key and γ of each seed's noise for parameters whose names have these numbers, signed words, streams_DP2."""
    first_D = draws.keys_tensor([draws.key(seed) for seed in seeds])
    key_DP = draws.mixed(first_D.unsqueeze(1) ^ number_P)
    gamma_DP = draws.mixed(key_DP) | 1
    flips_DP = _ones(gamma_DP ^ draws.shift_right(gamma_DP, 1))
    gamma_DP = torch.where(flips_DP < FEW_FLIPS, gamma_DP ^ draws.signed(ALTERNATING), gamma_DP)
    return torch.stack([key_DP, gamma_DP], dim=-1)


def _ones(word_DP: Tensor) -> Tensor:
    """How many bits of each word are set."""
    return _ones_of_bytes()[word_DP.unsqueeze(-1).view(torch.uint8).int()].sum(dim=-1)


@lru_cache(maxsize=1)
def _ones_of_bytes() -> Tensor:
    return torch.tensor([byte.bit_count() for byte in range(256)])


def _quantile(word_N: Tensor) -> Tensor:
    """The normal deviate of each 64-bit word, in float32."""
    sign_N = word_N >> 63
    odd_N = (word_N >> SPARE_BITS).bitwise_and_((1 << OCTAVES) - 1).bitwise_or_(1)
    # An odd number below 2^53 is a float64 without rounding: the exponent is the octave, the mantissa the place in it.
    place_N = odd_N.double().view(torch.int64)
    entry_N = torch.take(table(word_N.device), (place_N >> (MANTISSA_BITS - STEP_BITS)) - (EXPONENT_BIAS << STEP_BITS))
    fraction_N = (place_N >> (MANTISSA_BITS - STEP_BITS - FRACTION_BITS)).bitwise_and_((1 << FRACTION_BITS) - 1)
    drop_N = (entry_N & ((1 << DROP_BITS) - 1)).mul_(fraction_N).add_(1 << (FRACTION_BITS - 1)) >> FRACTION_BITS
    size_N = (entry_N >> DROP_BITS).sub_(drop_N)
    return ((size_N ^ sign_N) - sign_N).float().mul_(2.0**-SCALE_BITS)


@lru_cache(maxsize=8)
def table(device: torch.device) -> Tensor:
    """Each entry of `quantiles`, with the drop to the next one in its lower half."""
    entries = quantiles()
    packed = [entry << DROP_BITS | entry - after for entry, after in pairwise(entries)]
    return torch.tensor(packed, dtype=torch.int64, device=device)


@lru_cache(maxsize=1)
def quantiles() -> list[int]:
    """|ε| at p = (1 + s/256)·2^(o−53), octave after octave, and at 1, in units of 2^-20.

    `inv_cdf` is float64 and right to about 10^-15. No quantile lies so near the middle between two units that this
    could change its rounding (a test holds all to 25 digits), so every platform has the same table.
    """
    steps = range(2**STEP_BITS)
    shares = [(1 + step / 2**STEP_BITS) * 2.0 ** (octave - OCTAVES) for octave in range(OCTAVES) for step in steps]
    return [round(-NormalDist().inv_cdf(share / 2) * 2**SCALE_BITS) for share in (*shares, 1.0)]
