"""Divergences by the kernel against float64: on a GPU, and in Triton's interpreter wherever Triton is installed.

Legend: N positions, V vocabulary, K candidates.
"""

import math

import pytest
import torch
from interpreter import DEVICE, INTERPRETED, TYPES, on_kernel, outside, passes_interpreted
from torch import Tensor

from thicket.ops.divergence import jensen_shannon
from thicket.ops.token_divergence import TokenDivergence, kl, token_divergence

SIZES = [(6, 20, 0, 4), (3, 1, 3, 0), (5, 1024, 0, 0), (5, 5001, 7, 0), (4, 4999, 25, 1), (3, 49_152, 0, 64)]
"""Positions, words, and columns beyond them of the base and of the other."""
SUMS = ["js_N", "kl_other_base_N", "kl_base_other_N", "entropy_base_N", "entropy_other_N", "base_probability_N"]
pytestmark = [pytest.mark.filterwarnings("ignore:invalid value")]  # by the interpreter: of what `where` leaves


@pytest.mark.slow
@outside
def test_interpreted() -> None:
    passes_interpreted(__file__)


def found_in(base_NV: Tensor, other_NV: Tensor, candidates: int = 5, words: int | None = None) -> TokenDivergence:
    from thicket.ops.kernels.token_divergence import token_divergence as kernel

    words = base_NV.shape[1] if words is None else words
    found = kernel(base_NV.to(DEVICE), other_NV.to(DEVICE), words, candidates)
    return TokenDivergence(**{name: value_N.cpu() for name, value_N in vars(found).items()})


def exact(base_NV: Tensor, other_NV: Tensor, candidates: int = 5) -> TokenDivergence:
    """By the formulas in float64, and by sorted lists: of equal logits the first is the likelier."""
    log_p_NV, log_q_NV = (one.double().log_softmax(dim=-1) for one in (base_NV, other_NV))
    plain = token_divergence(log_p_NV, log_q_NV, candidates)
    of_base_NV, of_other_NV = (one.sort(dim=-1, descending=True, stable=True).indices for one in (base_NV, other_NV))
    k = min(candidates, base_NV.shape[1])
    rank_N = 1 + (of_base_NV == of_other_NV[:, :1]).int().argmax(dim=-1)
    shared_N = (of_base_NV[:, :k, None] == of_other_NV[:, None, :k]).any(dim=-1).float().mean(dim=-1)
    return TokenDivergence(**(vars(plain) | {"rank_N": rank_N, "same_N": rank_N == 1, "overlap_N": shared_N}))


def agree(found: TokenDivergence, expected: TokenDivergence, rtol: float = 5e-6, atol: float = 1e-9) -> None:
    for name in SUMS:
        value_N, wanted_N = getattr(found, name), getattr(expected, name)
        assert value_N.dtype == torch.float32
        assert torch.allclose(value_N.double(), wanted_N, rtol=rtol, atol=atol), f"{name}: {value_N} {wanted_N}"
    assert (found.js_N >= 0).all()
    assert found.rank_N.dtype == torch.int64
    assert found.rank_N.tolist() == expected.rank_N.tolist()
    assert found.same_N.tolist() == expected.same_N.tolist()
    assert found.overlap_N.tolist() == pytest.approx(expected.overlap_N.tolist())


def random(seed: int, count: int, words: int, spread: float = 3.0, beyond: int = 0) -> Tensor:
    """Logits_NV with large ones behind: whoever counts them is found out."""
    generator = torch.Generator().manual_seed(seed)
    logits_NV = torch.randn(count, words + beyond, generator=generator).mul_(spread)
    logits_NV[:, words:] = 1e4
    return logits_NV


@on_kernel
@pytest.mark.gpu
@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize(("count", "words", "beyond", "further"), SIZES)
def test_figures_are_those_of_float64(count: int, words: int, beyond: int, further: int, dtype: torch.dtype) -> None:
    base_NV = random(0, count, words, beyond=beyond).to(dtype)
    other_NV = random(1, count, words, beyond=further).to(dtype)
    found = found_in(base_NV, other_NV, words=words)
    agree(found, exact(base_NV[:, :words], other_NV[:, :words]))


@on_kernel
@pytest.mark.gpu
def test_figures_are_those_of_plain_torch() -> None:
    base_NV, other_NV = random(2, 40, 300), random(3, 40, 300)
    found = found_in(base_NV, other_NV, candidates=7)
    plain = token_divergence(base_NV.log_softmax(dim=-1), other_NV.log_softmax(dim=-1), 7)
    for name, value_N in vars(plain).items():
        torch.testing.assert_close(getattr(found, name), value_N, rtol=1e-5, atol=1e-6)
    assert 0 < float(found.overlap_N.mean()) < 1


@on_kernel
@pytest.mark.gpu
def test_logits_of_two_types() -> None:
    base_NV, other_NV = random(4, 5, 3_000).to(torch.float16), random(5, 5, 3_000)
    agree(found_in(base_NV, other_NV), exact(base_NV, other_NV))
    agree(found_in(other_NV, base_NV), exact(other_NV, base_NV))


@on_kernel
@pytest.mark.gpu
@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_equal_distributions_differ_by_exactly_nothing(dtype: torch.dtype) -> None:
    logits_NV = random(6, 8, 3_001).to(dtype)
    found = found_in(logits_NV, logits_NV.clone())
    assert found.js_N.tolist() == found.kl_base_other_N.tolist() == found.kl_other_base_N.tolist() == [0.0] * 8
    assert found.rank_N.tolist() == [1] * 8
    assert found.overlap_N.tolist() == [1.0] * 8
    assert found.entropy_base_N.equal(found.entropy_other_N)


@on_kernel
@pytest.mark.gpu
@pytest.mark.parametrize("step", [1e-1, 1e-2, 1e-3, 1e-4, 1e-5])
def test_nearly_equal_distributions_keep_their_digits(step: float) -> None:
    """Down to 1e-11. The JS is the plain path's in float64, the KL too, which float32 loses there."""
    base_NV = random(7, 6, 5_000)
    other_NV = base_NV + 0.5 + step * random(8, 6, 5_000, spread=1.0)
    found = found_in(base_NV, other_NV)
    log_p_NV, log_q_NV = (one.double().log_softmax(dim=-1) for one in (base_NV, other_NV))
    rel = max(1e-6, 1e-8 / step)  # of the difference of what normalises
    for value_N, expected_N in (
        (found.js_N, jensen_shannon(log_p_NV, log_q_NV)),
        (found.kl_base_other_N, kl(log_p_NV, log_q_NV)),
        (found.kl_other_base_N, kl(log_q_NV, log_p_NV)),
    ):
        torch.testing.assert_close(value_N.double(), expected_N, rtol=3 * rel, atol=1e-15)


@on_kernel
@pytest.mark.gpu
@pytest.mark.parametrize("gap", [0.9, 0.999, 1.0, 1.001, 1.1, 5.0, 60.0, 300.0])
def test_both_ways_of_the_sums_meet(gap: float) -> None:
    """Two words: log(p/q) is below, at and beyond where divergences are sums of powers."""
    base_NV, other_NV = torch.tensor([[0.0, -30.0], [0.0, 0.0]]), torch.tensor([[0.0, -30.0 + gap], [0.0, gap]])
    agree(found_in(base_NV, other_NV), exact(base_NV, other_NV), rtol=2e-6)


@on_kernel
@pytest.mark.gpu
def test_zeros_of_probability() -> None:
    """In one model, in both, in runs, and all but one; a KL is infinite where the second lacks a token of the first."""
    base_NV, other_NV = random(9, 6, 3_000), random(10, 6, 3_000)
    base_NV[0, ::3] = other_NV[0, ::3] = -math.inf
    base_NV[1, :2_000] = other_NV[1, :1_500] = -math.inf
    base_NV[2, 100:] = other_NV[2, :2_000] = -math.inf
    base_NV[3] = other_NV[3] = -math.inf
    base_NV[3, 2_999], other_NV[3, 7] = 0.0, 0.0
    other_NV[4, 5] = -math.inf
    found = found_in(base_NV, other_NV)
    agree(found, exact(base_NV, other_NV))
    assert found.kl_base_other_N.isinf().tolist() == [False, False, True, True, True, False]
    assert found.kl_other_base_N.isinf().tolist() == [False, True, True, True, False, False]
    assert found.js_N[2:4].tolist() == pytest.approx([math.log(2)] * 2, rel=1e-6)
    assert found.entropy_base_N[3] == 0


@on_kernel
@pytest.mark.gpu
@pytest.mark.parametrize("candidates", [1, 2, 20])
def test_of_equal_logits_the_first_is_the_likelier(candidates: int) -> None:
    """Few different values in many words: ranks, likeliest tokens and the last of K places all are ties."""
    generator = torch.Generator().manual_seed(11)
    base_NV, other_NV = (torch.randint(-3, 4, (6, 2_500), generator=generator).float() for _ in range(2))
    base_NV[0] = other_NV[0] = 1.0
    base_NV[1] = other_NV[1] = torch.tensor([-0.0, 0.0] * 1_250)
    base_NV[2], other_NV[2] = -math.inf, -math.inf
    base_NV[2, 2_400:2_403], other_NV[2, 2_401:2_404] = 0.0, 0.0
    found = found_in(base_NV, other_NV, candidates)
    agree(found, exact(base_NV, other_NV, candidates), atol=1e-7)
    assert found.overlap_N[:2].tolist() == [1.0, 1.0]


@on_kernel
@pytest.mark.gpu
@pytest.mark.parametrize(("words", "candidates"), [(1, 1), (3, 2), (3, 3), (3, 99), (70, 70), (2_100, 40)])
def test_as_many_candidates_as_words_or_more(words: int, candidates: int) -> None:
    base_NV, other_NV = random(12, 4, words), random(13, 4, words)
    found = found_in(base_NV, other_NV, candidates)
    agree(found, exact(base_NV, other_NV, candidates))
    assert (found.overlap_N == 1).all() or candidates < words


@on_kernel
@pytest.mark.gpu
@pytest.mark.parametrize(("spread", "middle"), [(30.0, 0.0), (1e3, 0.0), (1.0, 1e4), (1e-3, -3e4)])
def test_large_logits(spread: float, middle: float) -> None:
    base_NV, other_NV = random(14, 6, 2_000, spread) + middle, random(15, 6, 2_000, spread) - middle
    agree(found_in(base_NV, other_NV), exact(base_NV, other_NV), rtol=1e-5)


@on_kernel
@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore:All-NaN")
def test_what_is_not_a_number_stays_so() -> None:
    base_NV, other_NV = random(16, 5, 2_000), random(17, 5, 2_000)
    base_NV[1, 1_234] = other_NV[2, 7] = math.nan
    base_NV[3] = -math.inf
    found = found_in(base_NV, other_NV)
    for value_N in (found.js_N, found.kl_base_other_N, found.kl_other_base_N):
        assert value_N.isnan().tolist() == [False, True, True, True, False]
    assert found.entropy_base_N.isnan().tolist() == [False, True, False, True, False]
    assert found.entropy_other_N.isnan().tolist() == [False, False, True, False, False]
    assert ((found.rank_N >= 1) & (found.rank_N <= 2_000)).all()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="wants CUDA")
def test_in_a_captured_graph() -> None:
    """Nothing waits for the host."""
    from thicket.ops.kernels.token_divergence import token_divergence as kernel

    base_NV, other_NV = (random(seed, 5, 5_000).bfloat16().cuda() for seed in (18, 19))
    kernel(base_NV, other_NV, 5_000, 8)  # compiles
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        found = kernel(base_NV, other_NV, 5_000, 8)
    graph.replay()
    agree(
        TokenDivergence(**{name: value_N.cpu() for name, value_N in vars(found).items()}),
        exact(base_NV.cpu(), other_NV.cpu(), 8),
    )


@pytest.mark.skipif(INTERPRETED, reason="compiles")
@pytest.mark.parametrize(("dtype", "other", "wide"), [("bf16", "bf16", 8), ("fp32", "fp32", 4), ("bf16", "fp32", 8)])
def test_what_it_compiles_to(dtype: str, other: str, wide: int) -> None:
    """For an H100 or H200, without one: rows are loaded 16 bytes at once, and nothing is kept but in registers."""
    triton = pytest.importorskip("triton")
    from triton.backends.compiler import GPUTarget  # pyright: ignore[reportMissingImports]

    from thicket.ops.kernels import token_divergence as made

    kernel = made._TOKEN_DIVERGENCE
    fixed = {"LANES": made.LANES, "WIDE": wide, "STRIPES": 4}
    types = {"base": f"*{dtype}", "other": f"*{other}", "figures": "*fp32", "ranks": "*i64"}
    signature = {name: "constexpr" if name in fixed else types.get(name, "i32") for name in kernel.arg_names}
    aligned = ("base", "other", "base_stride", "other_stride", "base_width", "other_width", "figures", "ranks")
    source = triton.compiler.ASTSource(
        kernel, signature, fixed, {(kernel.arg_names.index(name),): [["tt.divisibility", 16]] for name in aligned}
    )
    compiled = triton.compile(source, target=GPUTarget("cuda", 90, 32), options={"num_warps": made.WARPS})
    assert compiled.asm["ptx"].count("ld.global.v4.b32") == (4 if dtype == other else 6)
    assert ".local" not in compiled.asm["ptx"]
    assert compiled.metadata.shared <= 1024, "no tile changes its layout"
