"""What is made of the tiles' figures and halves, against float64: the tiles themselves by plain torch.

The interpreter knows nothing of the language that the tiles are written in; `test_divergence_kernel.py` has the whole
on a GPU. Legend: N tokens, V vocabulary, H hidden width, K teachers.
"""

import math
from collections.abc import Sequence

import pytest
import torch
from interpreter import DEVICE, on_kernel, outside, passes_interpreted
from torch import Tensor

from thicket.ops.from_hidden import SUMMED, WORDS
from thicket.ops.head import Head


@pytest.mark.slow
@outside
def test_interpreted() -> None:
    passes_interpreted(__file__)


def read_tiles(
    teachers: Sequence[tuple[Tensor, Head]],
    shares: Sequence[float],
    student: tuple[Tensor, Head] | None,
    halves: tuple[Tensor, Tensor],
    pooled_NV: Tensor | None,
    figures: Tensor,
    of_teachers: Tensor,
    words: int,
    adds: bool,
) -> None:
    """As the kernel of this name does it."""

    def logits(hidden_NH: Tensor, head: Head) -> Tensor:
        return head.logits(head.raw(hidden_NH))[:, :words].float()

    def parts_of(logits_NV: Tensor) -> list[Tensor]:
        return [part_NV.contiguous() for part_NV in logits_NV.split(WORDS, dim=1)]

    pooled = (
        torch.zeros_like(logits(*teachers[0]))
        if pooled_NV is None or not adds
        else pooled_NV[: len(teachers[0][0]), :words]
    )
    for figure, share, teacher in zip(of_teachers, shares, teachers, strict=False):
        pooled = pooled + share * logits(*teacher)
        figure.copy_(torch.stack([part_NV.logsumexp(dim=1) for part_NV in parts_of(logits(*teacher))], dim=1))
        figure /= math.log(2)
    if student is None:
        assert pooled_NV is not None
        pooled_NV[: len(pooled), :words] = pooled
        return
    for tile, (s_NV, t_NV) in enumerate(zip(parts_of(logits(*student)), parts_of(pooled), strict=True)):
        norm_N, p_NV, columns = s_NV.logsumexp(dim=1), s_NV.softmax(dim=1), slice(tile * WORDS, tile * WORDS + WORDS)
        mean_N = (p_NV * (s_NV - t_NV)).sum(dim=1)
        figures[0, :, tile], figures[1, :, tile] = norm_N / math.log(2), mean_N
        figures[2, :, tile] = (p_NV * s_NV).sum(dim=1)
        inside = slice(columns.start, columns.start + s_NV.shape[1])
        halves[0][:, inside] = (p_NV * 2**SUMMED).half()
        halves[1][:, inside] = (s_NV - t_NV - mean_N[:, None]).half()


@pytest.mark.gpu
@on_kernel
@pytest.mark.parametrize(("teachers", "cap"), [(1, None), (2, 3.0), (6, None)])
def test_figures_and_halves_come_to_the_divergence(
    teachers: int, cap: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from thicket.ops.kernels import reverse_kl as kernel

    monkeypatch.setattr(kernel, "read_tiles", read_tiles)
    tokens, width, words = 5, 1003, 995
    generator = torch.Generator().manual_seed(teachers)

    def random(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator).to(DEVICE)

    hidden_NH, head = random(tokens, 16), Head(random(width, 16) * 0.5, random(width), 0.7, cap)
    taught = [(random(tokens, 8), Head(random(width, 8), None, 0.5, cap)) for _ in range(teachers)]
    shares_K = torch.arange(1.0, teachers + 1, device=DEVICE) / sum(range(1, teachers + 1))
    weights_N = torch.rand(tokens, generator=generator).to(DEVICE)
    room = kernel.Room.of(tokens + 2, width, words, teachers, hidden_NH.device)
    pooled_NV = torch.empty(room.halves[0].shape, device=DEVICE) if teachers > 4 else None
    value_N, entropy_N, gradient_NV = kernel.reverse_kl_gradient(
        hidden_NH, head, taught, shares_K.tolist(), shares_K, weights_N, words, room, pooled_NV
    )
    raw_NV = head.raw(hidden_NH).double().requires_grad_()
    log_p_NV = head.logits(raw_NV)[:, :words].log_softmax(dim=1)
    log_q_KNV = torch.stack(
        [one.logits(one.raw(other).double())[:, :words].log_softmax(dim=1) for other, one in taught]
    )
    gap_NV = log_p_NV - (shares_K.double()[:, None, None] * log_q_KNV).sum(dim=0)
    divergence_N = (log_p_NV.exp() * gap_NV).sum(dim=1)
    (expected_NV,) = torch.autograd.grad((weights_N * divergence_N).sum(), raw_NV)
    torch.testing.assert_close(value_N.double(), divergence_N.detach(), rtol=2e-6, atol=1e-6)
    torch.testing.assert_close(entropy_N.double(), -(log_p_NV.exp() * log_p_NV).sum(dim=1).detach(), rtol=2e-6, atol=0)
    assert float((gradient_NV - expected_NV).norm() / expected_NV.norm()) < 1e-3
    assert float(gradient_NV[:, words:].abs().max()) == 0
