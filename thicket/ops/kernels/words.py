"""SplitMix64's words within kernels, the bits of `thicket.ops.draws`."""

import triton  # pyright: ignore[reportMissingImports]
import triton.language as tl  # pyright: ignore[reportMissingImports]

from thicket.ops import draws

GOLDEN = tl.constexpr(draws.signed(draws.GOLDEN))
MIX_1, MIX_2 = tl.constexpr(draws.MIX_1), tl.constexpr(draws.MIX_2)


@triton.jit
def mixed(word):
    """`draws.mixed` of a signed word, as an unsigned one."""
    word = (word + GOLDEN).to(tl.uint64)
    word = (word ^ (word >> 30)) * MIX_1
    word = (word ^ (word >> 27)) * MIX_2
    return word ^ (word >> 31)
