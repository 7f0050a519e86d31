"""Words that draws are made of, backwards."""

from thicket.ops import draws


def unmixed(word: int) -> int:
    """The key whose first word this is: SplitMix64's output function backwards."""
    word ^= word >> 31 ^ word >> 62
    word = word * pow(draws.MIX_2, -1, 2**64) % 2**64
    word ^= word >> 27 ^ word >> 54
    word = word * pow(draws.MIX_1, -1, 2**64) % 2**64
    word ^= word >> 30 ^ word >> 60
    return (word - draws.GOLDEN) % 2**64
