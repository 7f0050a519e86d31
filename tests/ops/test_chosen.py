"""Log-probabilities in chunks: those of a plain forward pass in float64, with its gradients, whatever the chunks."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from thicket.ops.chosen import chosen_log_probs
from thicket.ops.head import Head

N, H, V, WORDS = 23, 6, 37, 33


def random(*shape: int, seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def leaves(bias: bool, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    made = [random(N, H, seed=0, dtype=dtype), random(V, H, seed=1, dtype=dtype)]
    return [leaf.requires_grad_() for leaf in [*made, *([random(V, seed=2, dtype=dtype)] if bias else [])]]


TOKENS = torch.randint(WORDS, (N,), generator=torch.Generator().manual_seed(3))
WEIGHTS = random(N, seed=4)


def whole(given: list[Tensor], cap: float | None, words: int | None) -> list[Tensor]:
    hidden_NH, weight_VH, *bias = [leaf.double() for leaf in given]
    logits_NV = 0.8 * (hidden_NH @ weight_VH.t() + (bias[0] if bias else 0))
    logits_NV = (logits_NV if cap is None else cap * (logits_NV / cap).tanh())[:, :words]
    log_p_NV = logits_NV.log_softmax(dim=-1)
    log_prob_N = log_p_NV.gather(1, TOKENS.unsqueeze(1)).squeeze(1)
    entropy_N = -(log_p_NV.exp() * log_p_NV).sum(dim=1).detach()
    return [log_prob_N.detach(), entropy_N, *torch.autograd.grad((log_prob_N * WEIGHTS).sum(), given)]


def chunked(given: list[Tensor], cap: float | None, words: int | None, tokens_a_chunk: int) -> list[Tensor]:
    head = Head(given[1], given[2] if len(given) > 2 else None, scale=0.8, cap=cap)
    size = tokens_a_chunk * V * torch.promote_types(given[0].dtype, torch.float32).itemsize
    log_prob_N, entropy_N = chosen_log_probs(given[0], head, TOKENS, size, words)
    gradients = torch.autograd.grad((log_prob_N * WEIGHTS.to(log_prob_N.dtype)).sum(), given)
    return [log_prob_N.detach(), entropy_N, *gradients]


@pytest.mark.parametrize("tokens_a_chunk", [0, 1, 7, N, 100])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("cap", [None, 2.0])
@pytest.mark.parametrize("words", [None, WORDS])
def test_chunks_are_the_whole(tokens_a_chunk: int, bias: bool, cap: float | None, words: int | None) -> None:
    given = leaves(bias)
    for found, expected in zip(chunked(given, cap, words, tokens_a_chunk), whole(given, cap, words), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


def test_in_bfloat16_sums_are_in_float32() -> None:
    """Values and gradients are those of float64 on the same rounded factors, but for the gradients' own rounding."""
    given = leaves(bias=True, dtype=torch.bfloat16)
    found, expected = chunked(given, None, None, 5), whole(given, None, None)
    assert found[0].dtype == torch.float32
    torch.testing.assert_close(found[0].double(), expected[0], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found[1].double(), expected[1], rtol=1e-5, atol=1e-5)
    for mine, wanted in zip(found[2:], expected[2:], strict=True):
        assert mine.dtype == torch.bfloat16
        torch.testing.assert_close(mine.double(), wanted.double(), rtol=2e-2, atol=2e-2)


def test_under_autocast_products_are_in_bfloat16() -> None:
    given = leaves(bias=False, dtype=torch.float32)
    rounded = [leaf.detach().bfloat16().requires_grad_() for leaf in given]
    with torch.autocast("cpu", torch.bfloat16):
        found = chunked(given, None, None, 5)
    assert [value.dtype for value in found[2:]] == [torch.float32] * 2
    torch.testing.assert_close(found[0], chunked(rounded, None, None, 5)[0])


def test_by_hand() -> None:
    """Logits (0, log 3): p = (1/4, 3/4), H = log 4 − (3/4)·log 3; d log p₀ / dh = −p₁·log 3 along the second weight."""
    hidden_NH = torch.ones(1, 1, requires_grad=True)
    head = Head(torch.tensor([[0.0], [math.log(3)]]))
    log_prob_N, entropy_N = chosen_log_probs(hidden_NH, head, torch.tensor([0]), 8)
    log_prob_N.sum().backward()
    assert float(log_prob_N.detach()) == pytest.approx(-math.log(4))
    assert float(entropy_N) == pytest.approx(math.log(4) - 0.75 * math.log(3))
    assert hidden_NH.grad is not None
    assert float(hidden_NH.grad) == pytest.approx(-0.75 * math.log(3))


def test_what_is_not_trained_gets_no_gradient() -> None:
    hidden_NH, weight_VH = leaves(bias=False)
    frozen: Any = chosen_log_probs(hidden_NH, Head(weight_VH.detach()), TOKENS, 1000)[0]
    frozen.sum().backward()
    assert hidden_NH.grad is not None
    assert weight_VH.grad is None
    nothing_N, _ = chosen_log_probs(hidden_NH[:0], Head(weight_VH), TOKENS[:0], 1000)
    assert nothing_N.shape == (0,)
