"""The kernel against plain torch in float64: every divergence, several teachers, caps, padding, odd widths."""

import pytest
import torch

from thicket.ops import distillation
from thicket.ops.chunked import chunked_loss
from thicket.ops.chunks import Fused, Setting, Teaching
from thicket.ops.from_hidden import token_bytes
from thicket.ops.head import Head

LOSSES = {"reverse_kl": distillation.reverse_kl, "forward_kl": distillation.forward_kl, "jsd": distillation.jsd(0.3)}
ONE = torch.ones(1)
ROUNDED_ONCE = 2e-3
"""Of gradients in bfloat16: 1.65e-3 is what rounding a number of any size costs, 2.3e-3 rounding it twice."""
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="the kernel runs on CUDA alone")


def measured(
    mode: str,
    width: int,
    teachers: int,
    cap: float | None,
    device: str,
    dtype: torch.dtype,
    fused: bool,
    plain: bool = False,
):
    """Loss, divergences, entropies, and the gradients on hidden states, weight and bias; plain heads only multiply."""
    generator = torch.Generator().manual_seed(width)
    words, count = width - 5, 300

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator).to(torch.bfloat16).to(device, dtype)

    hidden_NH = random(count, 64).requires_grad_()
    weight_VH, bias_V = (random(width, 64) * 0.5).requires_grad_(), random(width).requires_grad_()
    groups, start = [], 0
    for size in (20, count - 20):
        heads = [Head(random(width + 7, 32), None, 1.0 if plain else 0.5, cap) for _ in range(teachers)]
        hidden = [random(size, 32) for _ in range(teachers)]
        weights_K = torch.arange(1.0, teachers + 1)
        groups.append(Teaching(slice(start, start + size), heads, hidden, weights_K))
        start += size
    weights_N = torch.rand(count, generator=generator).to(device, torch.promote_types(dtype, torch.float32))
    weights_N[3] = 0
    tokens_N = torch.zeros(count, dtype=torch.long, device=device)
    setting = Setting(
        LOSSES[mode], Fused(mode, 0.3) if fused else None, words, chunk_bytes=8 * width * 4 * (1 + teachers)
    )
    head = Head(weight_VH) if plain else Head(weight_VH, bias_V, 0.7, cap).tempered(1.3)
    loss, divergence_N, entropy_N = chunked_loss(hidden_NH, head, groups, tokens_N, weights_N, setting)
    loss.backward()
    found = (loss, divergence_N, entropy_N, hidden_NH.grad, weight_VH.grad, bias_V.grad)
    return [value.detach().double().cpu() for value in found if value is not None]


@needs_gpu
@pytest.mark.gpu
@pytest.mark.parametrize(
    ("mode", "width", "teachers", "cap"),
    [
        ("reverse_kl", 1000, 1, None),
        ("reverse_kl", 9001, 1, 3.0),
        ("reverse_kl", 4096, 6, None),
        ("reverse_kl", 50000, 4, 5.0),
        ("forward_kl", 9001, 1, None),
        ("forward_kl", 4101, 1, 3.0),
        ("jsd", 9001, 1, None),
        ("jsd", 20000, 1, 4.0),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
def test_the_kernel_is_the_formula(mode: str, width: int, teachers: int, cap: float | None, dtype: torch.dtype) -> None:
    exact = measured(mode, width, teachers, cap, "cpu", torch.float64, fused=False)
    found = measured(mode, width, teachers, cap, "cuda", dtype, fused=True)
    rounding = 2e-5 if dtype == torch.float32 else 1e-2
    for name, one, other in zip(
        ("loss", "divergence", "entropy", "hidden", "weight", "bias"), found, exact, strict=True
    ):
        tolerance = 2e-5 if name in ("loss", "divergence", "entropy") else rounding
        error = float((one - other).norm() / other.norm())
        assert error < tolerance, f"{name}: {error:.2e}"


@needs_gpu
@pytest.mark.gpu
@pytest.mark.parametrize(("width", "teachers"), [(205, 1), (1029, 2), (4101, 3), (2053, 5)])
def test_heads_without_bias_scale_and_cap(width: int, teachers: int) -> None:
    """What most models have, and what is fast; less than a tile of words, whole tiles, and a little over."""
    sides = ("cpu", torch.float64, False), ("cuda", torch.bfloat16, True)
    exact, found = (measured("reverse_kl", width, teachers, None, *side, plain=True) for side in sides)
    errors = [float((one - other).norm() / other.norm()) for one, other in zip(found, exact, strict=True)]
    assert max(errors[:3]) < 2e-5
    assert max(errors[3:]) < ROUNDED_ONCE


@needs_gpu
@pytest.mark.gpu
@pytest.mark.parametrize("apart", [2.0**-8, 2.0**8], ids=["nearly equal", "far apart"])
def test_gradients_stay_in_the_range_of_half_precision(apart: float) -> None:
    """Flat distributions over many words that differ by a hundredth of a nat, and logits that are hundreds apart."""
    generator = torch.Generator().manual_seed(0)
    words, count = 150_000, 20
    like_NH, weight_VH = (torch.randn(size, 64, generator=generator).bfloat16() for size in (count, words))
    like_NH *= 2.0**-3
    other_NH = (like_NH + torch.randn(count, 64, generator=generator) * apart).bfloat16()
    weights_N = torch.full((count,), 1e-4)

    def gradients(device: str, dtype: torch.dtype, fused: bool) -> list[torch.Tensor]:
        hidden_NH = like_NH.to(device, dtype).requires_grad_()
        head = (weight_VH.to(device, dtype) * 2.0**-3).requires_grad_()
        taught = Teaching(slice(0, count), [Head(head.detach())], [other_NH.to(device, dtype)], ONE)
        setting = Setting(LOSSES["reverse_kl"], Fused("reverse_kl") if fused else None, words, 2**27)
        tokens_N = torch.zeros(count, dtype=torch.long, device=device)
        loss, _, _ = chunked_loss(hidden_NH, Head(head), [taught], tokens_N, weights_N.to(device), setting)
        return [one.double().cpu() for one in torch.autograd.grad(loss, (hidden_NH, head))]

    for found, exact in zip(
        gradients("cuda", torch.bfloat16, True), gradients("cpu", torch.float64, False), strict=True
    ):
        assert float((found - exact).norm() / exact.norm()) < ROUNDED_ONCE


def test_memory_of_a_token() -> None:
    """A logit leaves two halves of 2 bytes; a tile of 256 words 3 figures and one of each teacher, of 4 bytes."""
    assert token_bytes(1000, 995, 1) == 4 * 1000 + 4 * (3 + 1) * 4
    assert token_bytes(1000, 1025, 4) == 4 * 1000 + 4 * (3 + 4) * 5


def test_more_than_four_teachers_are_pooled_in_memory() -> None:
    assert token_bytes(1000, 995, 5) == 8 * 1000 + 4 * (3 + 5) * 4
