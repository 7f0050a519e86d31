"""Draws are functions of their names: the published generator's words, and numbers that do not depend on company."""

import torch

from thicket.ops import draws


def test_mix_is_splitmix64() -> None:
    # The first outputs of SplitMix64 from state 0 (Steele, Lea & Flood 2014; also Vigna's reference code).
    words, state = [], 0
    for _ in range(3):
        words.append(draws.mix(state))
        state = (state + 0x9E3779B97F4A7C15) % 2**64
    assert words == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]


def test_order_of_parts_counts() -> None:
    assert len({draws.key(1, 2), draws.key(2, 1), draws.key(1, 2, 0), draws.key(12)}) == 4


def test_uniform_equals_the_scalar_function() -> None:
    keys = [draws.key(7, row) for row in range(100)]
    for step in (0, 1, 5000):
        expected = [(draws.mix(key ^ draws.mix(step)) >> 11) * 2.0**-53 for key in keys]
        assert draws.uniform(draws.keys_tensor(keys), step).tolist() == expected
        assert draws.uniform(draws.keys_tensor(keys), torch.full((len(keys),), step)).tolist() == expected


def test_uniform_does_not_depend_on_the_batch() -> None:
    keys_B = draws.keys_tensor([draws.key(3, row) for row in range(10)])
    assert draws.uniform(keys_B, 4)[6:7].tolist() == draws.uniform(keys_B[6:7], 4).tolist()


def test_uniform_is_uniform_along_rows_and_along_steps() -> None:
    keys_B = draws.keys_tensor([draws.key(11, row) for row in range(20_000)])
    along_rows = draws.uniform(keys_B, 0)
    along_steps = torch.cat([draws.uniform(keys_B[:20], step) for step in range(1_000)])
    for values in (along_rows, along_steps):
        counts = torch.histc(values.float(), bins=20, min=0, max=1)
        # χ² with 19 degrees of freedom: beyond 43.8 once in a thousand.
        assert float(((counts - 1_000) ** 2 / 1_000).sum()) < 43.8
        assert abs(float(torch.corrcoef(torch.stack([values[:-1], values[1:]]))[0, 1])) < 0.03
