"""Drawn tokens against plain torch and float64: on a GPU, and in Triton's interpreter wherever Triton is installed."""

import pytest
import torch
from interpreter import DEVICE, TYPES, on_kernel, outside, passes_interpreted
from torch import Tensor
from words import unmixed

from thicket.ops import draws
from thicket.ops.sampling import gather, inverse_cdf, warped_log_probs

TIE = 2e-6
"""Of the total: numbers so near to the border between two tokens may fall to either."""


@pytest.mark.slow
@outside
def test_interpreted() -> None:
    passes_interpreted(__file__)


def drawn(logits_NV: Tensor, keys_N: Tensor, step_N: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    from thicket.ops.kernels.draw import draw

    token_N, log_prob_N = draw(logits_NV, keys_N.to(DEVICE), step_N.to(DEVICE), temperature)
    assert (token_N.dtype, log_prob_N.dtype) == (torch.int64, torch.float32)
    return token_N.cpu(), log_prob_N.cpu()


def names(count: int) -> tuple[Tensor, Tensor]:
    """Keys and steps, among them large and negative ones."""
    keys_N = draws.keys_tensor([draws.key(row, 7) for row in range(count)])
    step_N = torch.arange(count)
    keys_N[:2], step_N[-1] = torch.tensor([-1, 2**63 - 1])[:count], 2**40
    return keys_N, step_N


def random(count: int, words: int, dtype: torch.dtype, spread: float = 3.0, beyond: int = 0) -> Tensor:
    """Logits_NV of which `beyond` more lie behind each row, large ones: whoever reads them is found out."""
    generator = torch.Generator().manual_seed(count + words)
    logits_NV = torch.randn(count, words + beyond, generator=generator).mul_(spread)
    logits_NV[:, words:] = 1e4
    return logits_NV.to(dtype).to(DEVICE)[:, :words]


def is_drawn_right(logits_NV: Tensor, temperature: float) -> None:
    """Against the distribution in float64: the number lies within the token's slice, which is not empty."""
    keys_N, step_N = names(len(logits_NV))
    token_N, log_prob_N = drawn(logits_NV, keys_N, step_N, temperature)
    exact_NV = (logits_NV.cpu().double() / temperature).log_softmax(dim=-1)
    cumulated_NV, uniform_N = exact_NV.exp().cumsum(dim=-1), draws.uniform(keys_N, step_N)
    share_N, end_N = gather(exact_NV.exp(), token_N), gather(cumulated_NV, token_N)
    assert (share_N > 0).all()
    assert (uniform_N <= end_N + TIE).all()
    assert (uniform_N >= end_N - share_N - TIE).all()
    torch.testing.assert_close(log_prob_N.double(), gather(exact_NV, token_N), rtol=1e-6, atol=1e-6)


@on_kernel
@pytest.mark.gpu
@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("temperature", [0.7, 1.6])
@pytest.mark.parametrize(
    ("count", "words", "beyond"),
    [
        (33, 20, 0),
        (9, 4096, 0),
        (5, 5001, 0),
        (5, 5001, 7),
        (5, 4999, 25),
        (3, 49_152, 128),
        (8, 140_001, 0),
        (1, 262_144, 0),
        (4, 1, 3),
    ],
)
def test_tokens_are_those_of_float64(
    count: int, words: int, beyond: int, temperature: float, dtype: torch.dtype
) -> None:
    is_drawn_right(random(count, words, dtype, beyond=beyond), temperature)


@on_kernel
@pytest.mark.gpu
@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_tokens_are_those_of_plain_torch(dtype: torch.dtype) -> None:
    """Of so few numbers none is near a border."""
    logits_NV, (keys_N, step_N) = random(64, 301, dtype, beyond=3), names(64)
    log_probs_NV = warped_log_probs(logits_NV.cpu(), 0.7, 0, 1.0)
    expected_N = inverse_cdf(log_probs_NV, draws.uniform(keys_N, step_N))
    token_N, log_prob_N = drawn(logits_NV, keys_N, step_N, 0.7)
    assert token_N.equal(expected_N)
    assert len(set(token_N.tolist())) > 20
    torch.testing.assert_close(log_prob_N, gather(log_probs_NV, expected_N), rtol=1e-6, atol=2e-6)


@on_kernel
@pytest.mark.gpu
def test_shares_of_many_draws() -> None:
    probs = torch.tensor([0.5, 0.0, 0.3, 0.2])
    count = 400
    keys_N = draws.keys_tensor([draws.key(3)] * count)
    token_N, _ = drawn(probs.log().to(DEVICE).expand(count, 4), keys_N, torch.arange(count), 1.0)
    shares = token_N.bincount(minlength=4) / count
    assert shares[1] == 0
    torch.testing.assert_close(shares, probs, rtol=0, atol=0.1)  # four standard deviations


@on_kernel
@pytest.mark.gpu
@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("temperature", [0.7, 1.0])
@pytest.mark.parametrize(("lowest", "highest"), [(-60_000.0, 60_000.0), (-30.0, -29.0), (59_000.0, 60_000.0)])
def test_extreme_logits(lowest: float, highest: float, temperature: float, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(1)
    logits_NV = torch.rand(12, 700, generator=generator) * (highest - lowest) + lowest
    is_drawn_right(logits_NV.to(dtype).to(DEVICE), temperature)


@on_kernel
@pytest.mark.gpu
@pytest.mark.parametrize("words", [40, 5_003, 20_000])
def test_what_has_no_share_is_never_drawn(words: int) -> None:
    """Most are −inf, in runs as long as sections and all but a few; a row's only token is drawn, wherever it is."""
    logits_NV = random(24, words, torch.float32)
    logits_NV[:12, 1::2] = float("-inf")
    logits_NV[4:8, : words // 2] = float("-inf")
    logits_NV[8:12, words // 3 :] = float("-inf")
    logits_NV[12:] = float("-inf")
    only_N = torch.linspace(0, words - 1, 12).long()
    logits_NV[12 + torch.arange(12), only_N] = -5.0
    is_drawn_right(logits_NV, 0.7)
    token_N, log_prob_N = drawn(logits_NV, *names(24), 0.7)
    assert token_N[12:].equal(only_N)
    assert log_prob_N[12:].eq(0).all()


@on_kernel
@pytest.mark.gpu
def test_the_ends_of_the_unit_interval() -> None:
    """At 0 the first token that has a share, at 1 − 2⁻⁵³ the last one."""
    logits_NV = random(2, 9_000, torch.float32)
    logits_NV[:, :5_000] = logits_NV[:, 8_000:] = float("-inf")
    logits_NV[:, 7_900:] -= 40  # shares that are lost in the total
    logits_NV[:, 7_999] = -60.0
    keys_N = draws.keys_tensor([unmixed(word) ^ draws.mix(4) for word in (0, 2**64 - 1)])
    step_N = torch.tensor([4, 4])
    assert draws.uniform(keys_N, step_N).tolist() == [0.0, 1 - 2.0**-53]
    token_N, log_prob_N = drawn(logits_NV, keys_N, step_N, 1.0)
    assert int(token_N[0]) == 5_000
    assert 7_000 < int(token_N[1]) < 8_000
    assert log_prob_N.isfinite().all()


@on_kernel
@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore:invalid value")  # by the interpreter
def test_a_row_without_a_distribution_gives_some_token_and_says_so() -> None:
    logits_NV = random(4, 5_000, torch.float32)
    logits_NV[1, 4_000], logits_NV[2, :] = float("nan"), float("-inf")
    token_N, log_prob_N = drawn(logits_NV, *names(4), 1.0)
    assert log_prob_N.isnan().tolist() == [False, True, True, False]
    assert ((token_N >= 0) & (token_N < 5_000)).all()


@on_kernel
@pytest.mark.gpu
def test_results_go_where_they_are_wanted() -> None:
    from thicket.ops.kernels.draw import draw

    logits_NV, (keys_N, step_N) = random(5, 50, torch.float32), names(5)
    out = torch.full((5,), -1, device=DEVICE), torch.full((5,), 7.0, device=DEVICE)
    draw(logits_NV, keys_N.to(DEVICE), step_N.to(DEVICE), 0.7, out)
    token_N, log_prob_N = drawn(logits_NV, keys_N, step_N, 0.7)
    assert out[0].cpu().equal(token_N)
    assert out[1].cpu().equal(log_prob_N)


@on_kernel
@pytest.mark.gpu
def test_nothing_is_read_beyond_the_storage() -> None:
    """Up to 16 logits at once, where the row's padding reaches so far, the last row's too."""
    from thicket.ops.kernels.draw import _readable

    whole = torch.empty(3 * 32)
    assert _readable(whole.view(3, 32)[:, :21]) == 32
    assert _readable(whole.view(3, 32)[:, :16]) == 16
    assert _readable(whole[:90].view(3, 30)[:, :21]) == 21
    assert _readable(torch.empty(2 * 32 + 21).as_strided((3, 21), (32, 1))) == 21


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="wants CUDA")
def test_in_a_captured_graph() -> None:
    from thicket.ops.kernels.draw import draw

    logits_NV, (keys_N, step_N) = random(5, 5_000, torch.bfloat16), names(5)
    keys_N, step_N = keys_N.cuda(), step_N.cuda()
    draw(logits_NV, keys_N, step_N, 0.7)  # compiles
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        token_N, _ = draw(logits_NV, keys_N, step_N, 0.7)
    step_N += 1
    graph.replay()
    assert token_N.equal(draw(logits_NV, keys_N, step_N, 0.7)[0])
