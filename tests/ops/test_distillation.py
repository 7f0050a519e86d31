"""What a student is pulled towards: against loops in float64, by hand, and where the gradient is zero."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from thicket.ops.distillation import (
    Loss,
    forward_kl,
    jsd,
    reverse_kl,
    sampled_token,
    top1,
    top_k_unnormalised,
    top_k_with_tail,
)
from thicket.ops.policy_gradient import bounded_ratio

N, V, K = 5, 11, 3
SHARES = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
TOKENS = torch.tensor([0, 10, 3, 3, 7])


def distributions(*shape: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (3 * torch.randn(shape, generator=generator, dtype=torch.float64)).log_softmax(dim=-1)


P, Q = distributions(N, V, seed=0), distributions(K, N, V, seed=1)


def kl(p: list[float], q: list[float]) -> float:
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


def naive_jsd(p: list[float], q: list[float], beta: float) -> float:
    m = [beta * b + (1 - beta) * a for a, b in zip(p, q, strict=True)]
    return beta * kl(q, m) + (1 - beta) * kl(p, m)


def top(q: list[float], k: int) -> list[int]:
    return sorted(range(V), key=lambda v: -q[v])[:k]


def naive_bucket(p: list[float], q: list[float], k: int) -> float:
    kept = top(q, k)
    rest = 1 - sum(p[v] for v in kept), 1 - sum(q[v] for v in kept)
    return sum(p[v] * math.log(p[v] / q[v]) for v in kept) + rest[0] * math.log(rest[0] / rest[1])


def naive_measure(p: list[float], q: list[float], k: int) -> float:
    return sum(p[v] * math.log(p[v] / q[v]) - p[v] + q[v] for v in top(q, k))


NAIVE: dict[str, tuple[Loss, Callable[[list[float], list[float], int], float]]] = {
    "reverse KL": (reverse_kl, lambda p, q, y: kl(p, q)),
    "forward KL": (forward_kl, lambda p, q, y: kl(q, p)),
    "JSD": (jsd(0.3), lambda p, q, y: naive_jsd(p, q, 0.3)),
    "top 4 with the rest": (top_k_with_tail(4), lambda p, q, y: naive_bucket(p, q, 4)),
    "top 4 as measures": (top_k_unnormalised(4), lambda p, q, y: naive_measure(p, q, 4)),
    "top 1": (top1, lambda p, q, y: -math.log(p[max(range(V), key=lambda v: q[v])])),
    "sampled token": (sampled_token(None), lambda p, q, y: math.log(p[y] / q[y])),
}


@pytest.mark.parametrize(("loss", "naive"), NAIVE.values(), ids=NAIVE)
def test_a_loss_is_the_weighted_sum_over_teachers(
    loss: Loss, naive: Callable[[list[float], list[float], int], float]
) -> None:
    found_N = loss(P, Q, SHARES, TOKENS)
    for n in range(N):
        p = P[n].exp().tolist()
        expected = sum(float(SHARES[k]) * naive(p, Q[k, n].exp().tolist(), int(TOKENS[n])) for k in range(K))
        assert float(found_N[n]) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("loss", "naive"), NAIVE.values(), ids=NAIVE)
def test_float32_is_near(loss: Loss, naive: object) -> None:
    exact_N = loss(P, Q, SHARES, TOKENS)
    found_N = loss(P.float(), Q.float(), SHARES.float(), TOKENS)
    assert float((found_N - exact_N).abs().max() / exact_N.abs().max()) < 1e-5


def test_by_hand() -> None:
    """p = (½, ½) and q = (¼, ¾): KL(p ‖ q) = ½ log(4/3), KL(q ‖ p) = log 2 − H(q)."""
    p, q = torch.tensor([[0.5, 0.5]]).log(), torch.tensor([[[0.25, 0.75]]]).log()
    one, none = torch.ones(1), torch.zeros(1, dtype=torch.long)
    assert float(reverse_kl(p, q, one, none)) == pytest.approx(0.5 * math.log(4 / 3))
    entropy = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    assert float(forward_kl(p, q, one, none)) == pytest.approx(math.log(2) - entropy)
    assert float(top1(p, q, one, none)) == pytest.approx(math.log(2))
    assert float(sampled_token(None)(p, q, one, none)) == pytest.approx(math.log(2))
    assert float(sampled_token(0.1)(p, q, one, none)) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("divergence", "other"),
    [(jsd(1e-4), lambda p, q: kl(p, q)), (jsd(1 - 1e-4), lambda p, q: kl(q, p))],
    ids=["β → 0", "β → 1"],
)
def test_the_kls_are_the_limits_of_jsd(divergence: Loss, other: Callable[[list[float], list[float]], float]) -> None:
    """JSD_β/β → KL(q ‖ p)… as written by GKD, JSD is 0 at both ends, and the KLs are its slopes there."""
    found = float(divergence(P[:1], Q[:1, :1], torch.ones(1, dtype=torch.float64), TOKENS[:1])) / 1e-4
    p, q = P[0].exp().tolist(), Q[0, 0].exp().tolist()
    slope = kl(q, p) if other(p, q) == kl(p, q) else kl(p, q)
    assert found == pytest.approx(slope, rel=2e-2)


def gradient(loss: Loss, p_NV: Tensor, q_KNV: Tensor, shares_K: Tensor, tokens_N: Tensor) -> Tensor:
    logits_NV = p_NV.clone().requires_grad_()
    loss(logits_NV.log_softmax(dim=-1), q_KNV, shares_K, tokens_N).sum().backward()
    assert logits_NV.grad is not None
    return logits_NV.grad


@pytest.mark.parametrize("name", [name for name in NAIVE if name not in ("top 1", "sampled token")])
def test_a_student_like_its_teacher_stays(name: str) -> None:
    one = torch.ones(1, dtype=torch.float64)
    assert float(gradient(NAIVE[name][0], P, P.unsqueeze(0), one, TOKENS).abs().max()) < 1e-12


def test_gradients_on_the_logits() -> None:
    """Reverse KL: p ⊙ (log p − Σ w log q − loss). Forward KL: p − Σ w q."""
    p, pooled = P.exp(), torch.einsum("k,knv->nv", SHARES, Q)
    loss_N = reverse_kl(P, Q, SHARES, TOKENS)
    torch.testing.assert_close(gradient(reverse_kl, P, Q, SHARES, TOKENS), p * (P - pooled - loss_N.unsqueeze(1)))
    mixture = torch.einsum("k,knv->nv", SHARES, Q.exp())
    torch.testing.assert_close(gradient(forward_kl, P, Q, SHARES, TOKENS), p - mixture)


def test_the_sampled_token_is_unbiased_for_the_reverse_kl() -> None:
    """Over all tokens, each with its probability, its gradient is that of the whole divergence."""
    p_1V, q_K1V = P[:1], Q[:, :1]
    expected = gradient(reverse_kl, p_1V, q_K1V, SHARES, TOKENS[:1])
    every = sum(
        math.exp(float(p_1V[0, v])) * gradient(sampled_token(None), p_1V, q_K1V, SHARES, torch.tensor([v]))
        for v in range(V)
    )
    torch.testing.assert_close(every, expected)


def as_drawn(p_1V: Tensor, q_K1V: Tensor, shares_K: Tensor, often_V: Tensor) -> Tensor:
    """The gradient of the sampled token over all tokens, each so often."""
    whole = torch.zeros_like(p_1V)
    for v, often in enumerate(often_V):
        whole += often * gradient(sampled_token(None), p_1V, q_K1V, shares_K, torch.tensor([v]))
    return whole


def test_tokens_of_an_older_student_are_unbiased_by_their_ratio() -> None:
    """For the reverse KL of the student of the moment. Without the ratio its gradient is another."""
    old_V, p_1V, q_K1V = distributions(V, seed=2), P[:1], Q[:, :1]
    expected = gradient(reverse_kl, p_1V, q_K1V, SHARES, TOKENS[:1])
    ratio_V = bounded_ratio(p_1V[0] - old_V, None)
    torch.testing.assert_close(as_drawn(p_1V, q_K1V, SHARES, old_V.exp() * ratio_V), expected)
    plain = as_drawn(p_1V, q_K1V, SHARES, old_V.exp())
    assert float((plain - expected).norm() / expected.norm()) > 0.1


def test_an_older_students_tokens_by_hand() -> None:
    """Drawn with (¼, ¾), p = (½, ½), q = (¼, ¾): r = (2, ⅔), Â = (−log 2, log 3/2).

    ¼·2·log 2·(½, −½) − ¾·⅔·log 3/2·(−½, ½) = ¼ (log 2 + log 3/2)·(1, −1) = ¼ log 3·(1, −1).
    """
    q_V = torch.tensor([0.25, 0.75], dtype=torch.float64).log()
    p_1V, one = torch.full((1, 2), 0.5, dtype=torch.float64).log(), torch.ones(1, dtype=torch.float64)
    slope = torch.tensor([[1.0, -1.0]], dtype=torch.float64) / 4
    for most, expected in ((None, math.log(3)), (1.9, math.log(1.5))):
        often_V = q_V.exp() * bounded_ratio(p_1V[0] - q_V, most)
        torch.testing.assert_close(as_drawn(p_1V, q_V.view(1, 1, 2), one, often_V), expected * slope)


def test_clipping_bounds_the_advantage() -> None:
    far = torch.tensor([[[-30.0, math.log1p(-math.exp(-30.0))]]], dtype=torch.float64)
    p = torch.tensor([[0.5, 0.5]], dtype=torch.float64).log()
    one, first = torch.ones(1, dtype=torch.float64), torch.zeros(1, dtype=torch.long)
    whole, clipped = (gradient(sampled_token(clip), p, far, one, first) for clip in (None, 2.0))
    torch.testing.assert_close(clipped / whole, torch.full_like(p, 2.0 / (30 - math.log(2))))


def test_the_top_k_alone_would_shrink_its_mass() -> None:
    """Why the rest counts: with p = q, plain top-k reverse KL still has a gradient; both forms here have none."""
    kept = P[0].topk(4).indices

    def plain(log_p_NV: Tensor, log_q_KNV: Tensor, shares_K: Tensor, tokens_N: Tensor) -> Tensor:
        return (log_p_NV.exp() * (log_p_NV - log_q_KNV[0]))[:, kept].sum(dim=-1)

    one = torch.ones(1, dtype=torch.float64)
    slope = gradient(plain, P[:1], P[None, :1], one, TOKENS[:1])
    assert float(slope[0, kept].sum()) > 1e-3, "a step down the gradient takes mass from the top k"
