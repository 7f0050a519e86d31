"""The sampled distribution: truncation by hand, draws in the right shares, edges of the unit interval."""

import pytest
import torch
from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from thicket.ops.log_probs import entropy, token_log_probs
from thicket.ops.sampling import inverse_cdf, warped_log_probs

PROBS = torch.tensor([[0.5, 0.25, 0.15, 0.1]])


def kept(log_probs_BV: torch.Tensor) -> list[int]:
    return log_probs_BV[0].isfinite().nonzero().flatten().tolist()


def test_nothing_is_truncated_by_default() -> None:
    torch.testing.assert_close(warped_log_probs(PROBS.log(), 1.0, 0, 1.0).exp(), PROBS)


def test_temperature_by_hand() -> None:
    # T = ½ squares the probabilities: 0.25, 0.0625, 0.0225, 0.01 over their sum, 0.345.
    expected = torch.tensor([[0.25, 0.0625, 0.0225, 0.01]]) / 0.345
    torch.testing.assert_close(warped_log_probs(PROBS.log(), 0.5, 0, 1.0).exp(), expected)


@pytest.mark.parametrize(
    ("top_k", "top_p", "expected"),
    [(2, 1.0, [0, 1]), (0, 0.5, [0]), (0, 0.51, [0, 1]), (0, 0.9, [0, 1, 2]), (3, 0.6, [0, 1]), (9, 1.0, [0, 1, 2, 3])],
)
def test_truncation_by_hand(top_k: int, top_p: float, expected: list[int]) -> None:
    found = warped_log_probs(PROBS.log(), 1.0, top_k, top_p)
    assert kept(found) == expected
    assert float(found.exp().sum()) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("temperature", "top_k", "top_p"), [(0.7, 0, 1.0), (1.3, 20, 1.0), (1.0, 0, 0.8), (1.6, 20, 0.8)]
)
def test_equals_the_warpers_of_transformers(temperature: float, top_k: int, top_p: float) -> None:
    logits_BV = 2 * torch.randn(8, 100, generator=torch.Generator().manual_seed(0))
    expected_BV = TemperatureLogitsWarper(temperature)(None, logits_BV)  # type: ignore[arg-type]
    if top_k:
        expected_BV = TopKLogitsWarper(top_k)(None, expected_BV)  # type: ignore[arg-type]
    if top_p < 1:
        expected_BV = TopPLogitsWarper(top_p)(None, expected_BV)  # type: ignore[arg-type]
    found_BV = warped_log_probs(logits_BV, temperature, top_k, top_p)
    torch.testing.assert_close(found_BV.exp(), expected_BV.softmax(dim=-1), rtol=1e-5, atol=1e-7)


def test_inverse_cdf_by_hand_and_at_the_edges() -> None:
    log_probs_BV = torch.tensor([0.0, 0.5, 0.0, 0.5, 0.0]).log().expand(5, 5)
    uniform_B = torch.tensor([0.0, 0.49, 0.5, 0.99, 1 - 2.0**-53], dtype=torch.float64)
    assert inverse_cdf(log_probs_BV, uniform_B).tolist() == [1, 1, 3, 3, 3]


def test_inverse_cdf_draws_in_the_right_shares() -> None:
    uniform_B = (torch.arange(10_000, dtype=torch.float64) + 0.5) / 10_000
    tokens_B = inverse_cdf(PROBS.log().expand(10_000, 4), uniform_B)
    assert torch.bincount(tokens_B).tolist() == [5_000, 2_500, 1_500, 1_000]


def test_token_log_probs_and_entropy() -> None:
    log_probs_BTV = PROBS.log().expand(2, 1, 4)
    found_BT = token_log_probs(log_probs_BTV, torch.tensor([[1], [3]]))
    torch.testing.assert_close(found_BT, torch.tensor([[0.25], [0.1]]).log())
    by_hand = -(0.5 * PROBS[0, 0].log() + 0.25 * PROBS[0, 1].log() + 0.15 * PROBS[0, 2].log() + 0.1 * PROBS[0, 3].log())
    torch.testing.assert_close(entropy(log_probs_BTV), by_hand.expand(2, 1))
