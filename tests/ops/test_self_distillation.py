"""Self-distillation's exact loss: a loop over the vocabulary, its parts, and where its gradient is zero."""

import math

import pytest
import torch
from torch import Tensor

from thicket.ops.sampling import warped_log_probs
from thicket.ops.self_distillation import expected_loss, parts, start_log_probs


def random_logits(seed: int) -> Tensor:
    return torch.randn((4, 7), generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 2


def target(logits_BV: Tensor, temperature: float, top_k: int, top_p: float) -> Tensor:
    return warped_log_probs(logits_BV, temperature, top_k, top_p).double()


def naive(p: list[float], q: list[float], temperature: float) -> tuple[float, list[float]]:
    """Cross-entropy, and its parts as the paper names them, over the tokens with q > 0."""
    kept = [v for v in range(len(p)) if q[v] > 0]
    mass = sum(p[v] for v in kept)
    inside = {v: p[v] / mass for v in kept}
    z = sum(inside[v] ** (1 / temperature) for v in kept)
    tempered = {v: inside[v] ** (1 / temperature) / z for v in kept}
    order = 1 / temperature
    renyi = -sum(x * math.log(x) for x in inside.values()) if order == 1 else math.log(z) / (1 - order)
    divergence = sum(q[v] * math.log(q[v] / tempered[v]) for v in kept)
    entropy = -sum(q[v] * math.log(q[v]) for v in kept)
    loss = -sum(q[v] * math.log(p[v]) for v in kept)
    return loss, [-math.log(mass), (1 - temperature) * renyi, temperature * divergence, temperature * entropy]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.6])
@pytest.mark.parametrize(("top_k", "top_p"), [(0, 1.0), (3, 1.0), (5, 0.8)])
def test_both_sides_of_the_decomposition_agree(temperature: float, top_k: int, top_p: float) -> None:
    """The start's samples, and a model that has moved away from the start."""
    logits_BV = random_logits(1)
    target_BV = target(random_logits(0), temperature, top_k, top_p)
    target_BV = target_BV - target_BV.logsumexp(dim=-1, keepdim=True)  # float32 inside: normal to float64's last bits
    log_probs_BV = logits_BV.log_softmax(dim=-1)
    loss_B, found = expected_loss(log_probs_BV, target_BV), parts(log_probs_BV, target_BV, temperature)
    terms_4B = torch.stack([found.support_B, found.head_B, found.anchor_B, found.constant_B])
    torch.testing.assert_close(terms_4B.sum(dim=0), loss_B, rtol=0, atol=1e-12)
    for row in range(len(logits_BV)):
        loss, terms = naive(log_probs_BV[row].exp().tolist(), target_BV[row].exp().tolist(), temperature)
        assert float(loss_B[row]) == pytest.approx(loss, abs=1e-12)
        assert terms_4B[:, row].tolist() == pytest.approx(terms, abs=1e-12)


def test_a_value_by_hand() -> None:
    """p = (1/2, 1/4, 1/4), the last token cut off, T = 1: q = (2/3, 1/3)."""
    log_probs_BV = torch.tensor([[0.5, 0.25, 0.25]], dtype=torch.float64).log()
    target_BV = torch.tensor([[2 / 3, 1 / 3, 0.0]], dtype=torch.float64).log()
    found = parts(log_probs_BV, target_BV, 1.0)
    entropy = math.log(3) - 2 / 3 * math.log(2)
    assert float(expected_loss(log_probs_BV, target_BV)) == pytest.approx(math.log(4 / 3) + entropy, abs=1e-12)
    assert float(found.support_B) == pytest.approx(math.log(4 / 3), abs=1e-12)
    assert float(found.head_B) == pytest.approx(0, abs=1e-12)
    assert float(found.anchor_B) == pytest.approx(0, abs=1e-12)
    assert float(found.constant_B) == pytest.approx(entropy, abs=1e-12)


@pytest.mark.parametrize(
    ("temperature", "top_k", "top_p", "moves"),
    [(1.0, 0, 1.0, False), (1.6, 0, 1.0, True), (1.0, 3, 1.0, True), (1.0, 0, 0.7, True)],
)
def test_the_gradient_at_the_start(temperature: float, top_k: int, top_p: float, moves: bool) -> None:
    """Zero with T = 1 and nothing cut off: exact soft targets teach the model nothing that it doesn't know."""
    logits_BV = random_logits(2).requires_grad_()
    target_BV = start_log_probs(logits_BV.detach(), temperature, top_k, top_p)  # float64: zero means zero
    expected_loss(logits_BV.log_softmax(dim=-1), target_BV).sum().backward()
    assert logits_BV.grad is not None
    expected_BV = logits_BV.detach().softmax(dim=-1) - target_BV.exp()
    torch.testing.assert_close(logits_BV.grad, expected_BV, rtol=0, atol=1e-14)
    assert (float(logits_BV.grad.abs().max()) > 1e-2) == moves
    assert moves or float(logits_BV.grad.abs().max()) < 1e-14


@pytest.mark.parametrize(("temperature", "top_k", "top_p"), [(1.0, 0, 1.0), (1.6, 3, 1.0), (0.7, 5, 0.8)])
def test_the_target_is_what_the_sampler_draws_from(temperature: float, top_k: int, top_p: float) -> None:
    found_BV = start_log_probs(random_logits(3), temperature, top_k, top_p)
    drawn_BV = target(random_logits(3), temperature, top_k, top_p)
    torch.testing.assert_close(found_BV, drawn_BV, rtol=0, atol=1e-5)
    assert (found_BV.isneginf().sum(dim=-1) > 0).all() == (top_k > 0)
    torch.testing.assert_close(found_BV.exp().sum(dim=-1), torch.ones(4, dtype=torch.float64), rtol=0, atol=1e-14)


def test_temperature_above_one_rewards_a_flat_head() -> None:
    """Of two models with the same mass on the support, the flatter has the smaller head term at T > 1, at T < 1 the
    steeper."""
    flat, steep = (torch.tensor([p], dtype=torch.float64).log() for p in ([0.45, 0.45, 0.1], [0.8, 0.1, 0.1]))
    target_BV = torch.tensor([[0.5, 0.5, 0.0]], dtype=torch.float64).log()
    assert parts(flat, target_BV, 1.6).head_B < parts(steep, target_BV, 1.6).head_B
    assert parts(flat, target_BV, 0.5).head_B > parts(steep, target_BV, 0.5).head_B
