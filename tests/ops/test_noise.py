"""Noise: the exact table, the distribution, independence, and the same bits in every layout and on every device."""

import math
from itertools import pairwise
from statistics import NormalDist
from typing import Any

import mpmath
import pytest
import torch

from thicket.ops import draws, noise

DRAWS = 2_000_000
SAMPLE = noise.normal(noise.key_of(0, "weight"), 0, DRAWS).double()


def share(entry: int) -> Any:
    """p of an entry of the table, an mpmath number."""
    octave, step = divmod(entry, 2**noise.STEP_BITS)
    return (1 + mpmath.mpf(step) / 2**noise.STEP_BITS) * mpmath.mpf(2) ** (octave - noise.OCTAVES)


def exact_quantile(p: Any) -> Any:
    """|ε| that is exceeded with probability p: a float64, and Newton's step, which doubles its 15 digits."""
    z = mpmath.mpf(-NormalDist().inv_cdf(float(p) / 2))
    return z + (mpmath.erfc(z / mpmath.sqrt(2)) - p) / mpmath.sqrt(2 / mpmath.pi) * mpmath.exp(z * z / 2)


def word(odd: int, negative: bool = False) -> int:
    """The 64-bit word of which p = odd/2^53 is made."""
    return odd << 10 | negative << 63


def test_the_table_is_the_normal_quantile_rounded() -> None:
    """To 25 digits. And none lies so near a rounding's edge that another platform's logarithm could tip it."""
    entries = noise.quantiles()
    assert len(entries) == noise.OCTAVES * 2**noise.STEP_BITS + 1
    assert entries[-1] == 0
    margin = 1.0
    with mpmath.workdps(25):
        for entry, rounded in enumerate(entries[:-1]):
            exact = exact_quantile(share(entry)) * 2**noise.SCALE_BITS
            assert rounded == mpmath.nint(exact)
            margin = min(margin, abs(float(exact - mpmath.floor(exact)) - 0.5))
    # inv_cdf is off by 3·10^-9 units at most.
    assert margin > 1e-6


def test_values_that_are_worked_out_by_hand() -> None:
    # p = 1/2: the quartile, 0.67448975…, and its negative; then the smallest p, 2^-53, and the largest.
    half = 1 << (noise.OCTAVES - 1)
    words = [word(half), word(half, True), word(1), word(2**noise.OCTAVES - 1)]
    found = noise._quantile(draws.keys_tensor(words))
    assert found.dtype == torch.float32
    middle = round(0.6744897501960817 * 2**20) / 2**20
    assert found.tolist() == [middle, -middle, round(8.292361075813595 * 2**20) / 2**20, 0.0]


def test_between_the_entries_it_is_off_by_less_than_two_millionths() -> None:
    generator = torch.Generator().manual_seed(1)
    for octave in range(noise.OCTAVES):
        low = 2**octave
        odd = (low + torch.randint(0, low, (400,), generator=generator)) | 1
        found = noise._quantile(odd << 10).double()
        exact = [-NormalDist().inv_cdf(u / 2 ** (noise.OCTAVES + 1)) for u in odd.tolist()]
        assert float((found - torch.tensor(exact, dtype=torch.float64)).abs().max()) < 2e-6


def test_it_falls_with_p_over_the_whole_range() -> None:
    """Along the tail and the middle, at neighbours of every entry: no jump back where two segments meet."""
    starts = torch.tensor([(1 << o) + (s << o >> noise.STEP_BITS) for o in range(8, noise.OCTAVES) for s in range(256)])
    around = torch.cat([starts - 1, starts, starts + 1]).sort().values | 1
    found = noise._quantile(around << 10)
    assert bool((found[1:] <= found[:-1]).all())
    assert float(found[0]) > 7.0


def test_moments_of_the_distribution_itself() -> None:
    """Summed over the table: the chord of each step, which ε is uniform on, weighted with the step's probability."""
    entries = [entry / 2**noise.SCALE_BITS for entry in noise.quantiles()]
    second = fourth = 0.0
    for entry, (a, b) in enumerate(pairwise(entries)):
        weight = 2.0 ** (entry // 256 - noise.OCTAVES) / 256
        second += weight * (a * a + a * b + b * b) / 3
        fourth += weight * sum(a**i * b ** (4 - i) for i in range(5)) / 5
    assert second == pytest.approx(1.0, abs=2e-6)
    assert fourth == pytest.approx(3.0, abs=2e-5)


def test_moments_of_a_sample() -> None:
    """Within four standard errors of N(0, 1)'s."""
    standard = 4 / math.sqrt(DRAWS)
    assert abs(float(SAMPLE.mean())) < standard
    assert abs(float((SAMPLE**2).mean()) - 1) < standard * math.sqrt(2)
    assert abs(float((SAMPLE**3).mean())) < standard * math.sqrt(15)
    assert abs(float((SAMPLE**4).mean()) - 3) < standard * math.sqrt(96)


def test_kolmogorov_smirnov() -> None:
    """Beyond 1.95/√n once in a thousand."""
    ordered = SAMPLE.sort().values
    cdf = 0.5 * torch.erfc(-ordered / math.sqrt(2))
    steps = torch.arange(DRAWS + 1, dtype=torch.float64) / DRAWS
    distance = max(float((cdf - steps[:-1]).abs().max()), float((steps[1:] - cdf).abs().max()))
    assert distance < 1.95 / math.sqrt(DRAWS)


def test_it_reaches_beyond_five_sigma() -> None:
    """Of these draws 1.1 are expected beyond 5."""
    assert float(SAMPLE.abs().max()) > 5


def test_slices_equal_the_whole() -> None:
    key = noise.key_of(3, "model.layers.0.mlp.up_proj.weight")
    whole = noise.normal(key, 0, 300_000)
    bounds = [0, 1, 7, 65_536, 65_537, 200_000, 300_000]
    parts = [noise.normal(key, start, stop) for start, stop in pairwise(bounds)]
    assert torch.cat(parts).equal(whole)
    far = 2**40  # an element that no chunk reaches by counting
    assert noise.normal(key, far, far + 10)[3:5].equal(noise.normal(key, far + 3, far + 5))


def test_it_does_not_depend_on_the_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = noise.normal(5, 0, 10_000)
    monkeypatch.setitem(noise.CHUNKS, "cpu", 17)
    assert noise.normal(5, 0, 10_000).equal(expected)


def test_the_bits_are_a_format() -> None:
    """An ensemble's file holds seeds: these numbers are never to change."""
    units = noise.normal(noise.key_of(0, "lm_head.weight"), 0, 6).mul(2**20).tolist()
    assert units == [345021, -897472, -1852720, 1274903, -1040938, -405143]


def correlation(first: torch.Tensor, second: torch.Tensor) -> float:
    return abs(float(torch.corrcoef(torch.stack([first, second]))[0, 1]))


@pytest.mark.parametrize(
    ("seed", "name"),
    [(0, "layers.1.weight"), (1, "layers.0.weight"), (2**63 - 1, "layers.0.weight"), (2, "layers.2.weight")],
)
def test_parameters_of_a_shape_and_seeds_are_independent(seed: int, name: str) -> None:
    """Correlations of values, of sizes, and of neighbours are within four standard errors of 0."""
    count = 500_000
    one = noise.normal(noise.key_of(0, "layers.0.weight"), 0, count).double()
    other = noise.normal(noise.key_of(seed, name), 0, count).double()
    bound = 4 / math.sqrt(count)
    assert correlation(one, other) < bound
    assert correlation(one.abs(), other.abs()) < bound
    assert correlation(one[1:], other[:-1]) < bound


def test_elements_of_a_parameter_are_independent() -> None:
    for lag in (1, 2, 128, 4096):
        assert correlation(SAMPLE[lag:], SAMPLE[:-lag]) < 4 / math.sqrt(DRAWS)


def test_steps_are_odd_and_change_their_bits_often() -> None:
    gammas = [noise._gamma(draws.key(seed)) for seed in range(2_000)]
    assert all(gamma % 2 == 1 and 0 <= gamma < 2**64 for gamma in gammas)
    assert all((gamma ^ gamma >> 1).bit_count() >= 24 for gamma in gammas)
    assert len(set(gammas)) == len(gammas)


def test_streams_are_the_keys_and_steps_of_seeds_and_names() -> None:
    seeds, names = [0, 1, 2**63 + 7], [f"layers.{layer}.weight" for layer in range(700)]
    keys = [[noise.key_of(seed, name) for name in names] for seed in seeds]
    expected = [[(draws.signed(key), draws.signed(noise._gamma(key))) for key in row] for row in keys]
    numbers = draws.keys_tensor([noise.number_of(name) for name in names])
    assert noise.streams(seeds, numbers).equal(torch.tensor(expected))
    alternated = [key for row in keys for key in row if noise._gamma(key) != draws.mix(key) | 1]
    assert alternated, "some steps are those that changed their bits too rarely"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cpu_and_cuda_give_the_same_bits() -> None:
    for seed, name in ((0, "embed_tokens.weight"), (7, "norm.weight")):
        key = noise.key_of(seed, name)
        assert noise.normal(key, 5, 20_000_005, "cuda").cpu().equal(noise.normal(key, 5, 20_000_005))
    words = draws.keys_tensor([word(1), word(1, True), word(2**noise.OCTAVES - 1), word(3)])
    assert noise._quantile(words.cuda()).cpu().equal(noise._quantile(words))
