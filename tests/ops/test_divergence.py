"""Divergences against naive float64 sums and values worked out by hand. Legend: B rows, T positions, V vocabulary."""

import math

import pytest
import torch

from thicket.ops.divergence import k3, reverse_kl


def log_probs(seed: int, *shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (3 * torch.randn(shape, generator=generator)).log_softmax(dim=-1)


def naive_reverse_kl(student: list[float], teacher: list[float]) -> float:
    return sum(math.exp(s) * (s - t) for s, t in zip(student, teacher, strict=True))


def test_reverse_kl_equals_the_naive_sum() -> None:
    student_BTV, teacher_BTV = log_probs(0, 3, 4, 50), log_probs(1, 3, 4, 50)
    found_BT = reverse_kl(student_BTV, teacher_BTV)
    expected_BT = torch.tensor(
        [
            [naive_reverse_kl(s, t) for s, t in zip(student_TV, teacher_TV, strict=True)]
            for student_TV, teacher_TV in zip(student_BTV.double().tolist(), teacher_BTV.double().tolist(), strict=True)
        ],
        dtype=torch.float64,
    )
    torch.testing.assert_close(found_BT.double(), expected_BT, rtol=1e-5, atol=1e-6)


def test_reverse_kl_by_hand() -> None:
    # ½ log(½ / ¼) + ½ log(½ / ¾) = ½ log(4/3)
    student, teacher = torch.tensor([0.5, 0.5]).log(), torch.tensor([0.25, 0.75]).log()
    assert float(reverse_kl(student, teacher)) == pytest.approx(0.5 * math.log(4 / 3), rel=1e-6)


def test_reverse_kl_gradient_on_logits() -> None:
    """p_S ⊙ (log p_S − log p_T − KL), the form that FACTS and the fused kernels use."""
    generator = torch.Generator().manual_seed(2)
    logits_V = torch.randn(20, generator=generator, dtype=torch.float64, requires_grad=True)
    teacher_V = torch.randn(20, generator=generator, dtype=torch.float64).log_softmax(dim=-1)
    student_V = logits_V.log_softmax(dim=-1)
    kl = reverse_kl(student_V, teacher_V)
    (gradient_V,) = torch.autograd.grad(kl, logits_V)
    expected_V = student_V.exp() * (student_V - teacher_V - kl)
    torch.testing.assert_close(gradient_V, expected_V.detach(), rtol=1e-12, atol=1e-14)


def test_k3_by_hand_and_sign() -> None:
    # r = 2: 2 − 1 − log 2
    assert float(k3(torch.tensor(math.log(2.0)))) == pytest.approx(1 - math.log(2), rel=1e-6)
    assert float(k3(torch.tensor(0.0))) == 0.0
    assert (k3(torch.linspace(-3, 3, 101)) >= 0).all()


def test_k3_estimates_the_kl_of_policy_to_reference() -> None:
    policy_V, reference_V = (log_probs(seed, 10).double().log_softmax(dim=-1) for seed in (3, 4))
    expectation = (policy_V.exp() * k3(reference_V - policy_V)).sum()
    assert float(expectation) == pytest.approx(float(reverse_kl(policy_V, reference_V)), rel=1e-12)
