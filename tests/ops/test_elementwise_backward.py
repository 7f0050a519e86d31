"""Gradients of norms, rotary positions and gates: those of transformers' modules, and of float64."""

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import torch
from interpreter import DEVICE, INTERPRETED, TYPES, on_kernel, outside, passes_interpreted
from torch import Tensor
from torch.nn import functional
from transformers.models.gemma3.modeling_gemma3 import Gemma3RMSNorm
from transformers.models.llama.modeling_llama import LlamaRMSNorm, apply_rotary_pos_emb

pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered")  # by the interpreter: infinities in exp
PAIRS = list(product(TYPES, TYPES))
ACTS = {"silu": functional.silu, "gelu_tanh": lambda x: functional.gelu(x, approximate="tanh")}
HALF = torch.float16 if INTERPRETED else torch.bfloat16


@pytest.mark.slow
@outside
def test_interpreted() -> None:
    passes_interpreted(__file__)


def random(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype).to(DEVICE)


def gradients(function: Callable[..., Any], given: list[Tensor]) -> list[Tensor]:
    """Of what goes in, for random gradients of what comes out."""
    leaves = [one.detach().requires_grad_() for one in given]
    made = function(*leaves)
    results = list(made) if isinstance(made, tuple) else [made]
    slopes = [random(*one.shape, seed=9 + place).to(one.dtype) for place, one in enumerate(results)]
    return list(torch.autograd.grad(results, leaves, slopes))


def assert_alike(found: Tensor, expected: Tensor, *rounded_to: torch.dtype) -> None:
    """Differences of sums are as exact as a row's largest; in 16 bits few are a rounding apart."""
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    if not found.numel():
        return
    off, size = (found.double() - expected.double()).abs(), expected.double().abs().amax(dim=-1, keepdim=True)
    coarsest = max(torch.finfo(dtype).eps for dtype in rounded_to)
    exact = coarsest == torch.finfo(torch.float32).eps
    assert bool((off <= (1e-6 if exact else coarsest) * size).all())
    assert exact or (off > 1e-6 * size).double().mean() <= 0.005


def of_module(kind: Any, eps: float) -> Callable[..., Tensor]:
    def norm(x: Tensor, weight: Tensor) -> Tensor:
        module = kind(len(weight), eps=eps)
        return torch.func.functional_call(module, {"weight": weight}, (x,))

    return norm


def of_kernel(one_more: bool, eps: float) -> Callable[..., Tensor]:
    from thicket.ops.kernels.elementwise_backward import rms_norm

    return lambda x, weight: rms_norm(x, weight, eps, one_more)


KINDS = pytest.mark.parametrize(("kind", "one_more"), [(LlamaRMSNorm, False), (Gemma3RMSNorm, True)])


@on_kernel
@pytest.mark.gpu
@pytest.mark.parametrize(("dtype", "of_weight"), PAIRS, ids=str)
@KINDS
@pytest.mark.parametrize("shape", [(3, 5, 576), (2, 3, 9, 64), (50, 7), (1, 4096), (0, 64)])
def test_norms(shape: tuple[int, ...], kind: Any, one_more: bool, dtype: torch.dtype, of_weight: torch.dtype) -> None:
    weight = random(shape[-1], dtype=of_weight, seed=1)
    for scale in (1.0, 1e-3, 30.0):  # at the second one, epsilon counts
        given = [random(*shape, dtype=dtype) * scale, weight]
        found, expected = (gradients(norm, given) for norm in (of_kernel(one_more, 1e-5), of_module(kind, 1e-5)))
        assert_alike(found[0], expected[0], dtype)
        assert_alike(found[1], expected[1], dtype, of_weight)


@on_kernel
@pytest.mark.gpu
@KINDS
@pytest.mark.parametrize("parts", [1, 3, 1024])
def test_norms_of_many_rows_against_float64(
    kind: Any, one_more: bool, parts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many programs share the rows, of which the last ones have fewer or none."""
    from thicket.ops.kernels import elementwise_backward

    monkeypatch.setattr(elementwise_backward, "PARTS", parts)
    given = [random(37, 130), random(130, seed=1)]

    def exactly(x: Tensor, weight: Tensor) -> Tensor:
        normal = x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6)
        return normal * (1 + weight if one_more else weight)

    found = gradients(of_kernel(one_more, 1e-6), given)
    expected = gradients(exactly, [one.double() for one in given])
    assert_alike(found[0], expected[0].float(), torch.float32)
    assert_alike(found[1], expected[1].float(), torch.float32)
    for one, again in zip(found, gradients(of_kernel(one_more, 1e-6), given), strict=True):
        assert one.equal(again)


@on_kernel
@pytest.mark.gpu
@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_gradients_of_any_strides(dtype: torch.dtype) -> None:
    """The gradient of a sum is one number in all places; others lie apart, as may what goes in."""
    from thicket.ops.kernels.elementwise_backward import gated

    x, weight = random(2, 5, 3, 80, dtype=dtype).transpose(1, 2)[..., :72], random(72, dtype=dtype, seed=1)
    kernel, module = of_kernel(False, 1e-6), of_module(LlamaRMSNorm, 1e-6)
    pairs = [
        (kernel, module, [x, weight]),
        (lambda g, u: gated(g, u, "silu"), lambda g, u: functional.silu(g) * u, [x, x]),
    ]
    for one, other, given in pairs:
        for after in (lambda y: y.sum(), lambda y: y.transpose(0, 2), lambda y: y[..., ::2]):
            found, expected = (
                gradients(lambda *leaves, function=function, after=after: after(function(*leaves)), given)
                for function in (one, other)
            )
            for mine, own in zip(found, expected, strict=True):
                assert_alike(mine, own, dtype)


@on_kernel
@pytest.mark.gpu
def test_a_frozen_weight_has_no_gradient_and_costs_none(monkeypatch: pytest.MonkeyPatch) -> None:
    from thicket.ops.kernels import elementwise_backward as kernels

    asked: list[bool] = []
    make = kernels.rms_norm_gradients

    def watched(*given: Any, of_weight: bool) -> Any:
        asked.append(of_weight)
        return make(*given, of_weight=of_weight)

    monkeypatch.setattr(kernels, "rms_norm_gradients", watched)
    x, weight = random(40, 64).requires_grad_(), random(64, seed=1)
    kernels.rms_norm(x, weight, 1e-6, False).sum().backward()
    alone, x.grad = x.grad, None
    assert asked == [False]
    kernels.rms_norm(x, weight.requires_grad_(), 1e-6, False).sum().backward()
    assert asked == [False, True]
    assert alone is not None
    assert x.grad is not None
    assert alone.equal(x.grad)


@on_kernel
@pytest.mark.gpu
def test_without_gradients_there_is_no_graph() -> None:
    from thicket.ops.kernels.elementwise_backward import gated, rms_norm, rotary

    x, angles = random(2, 3, 4, 8), random(2, 4, 8)
    weight = random(8)
    made = [rms_norm(x, weight, 1e-6, False), gated(x, x, "silu"), *rotary(x, x, angles, angles)]
    with torch.no_grad():
        x.requires_grad_()
        made += [rms_norm(x, weight, 1e-6, False), gated(x, x, "silu"), *rotary(x, x, angles, angles)]
    assert not any(one.requires_grad for one in made)


@on_kernel
@pytest.mark.gpu
@pytest.mark.parametrize(("dtype", "of_angles"), PAIRS, ids=str)
@pytest.mark.parametrize(
    ("batch", "heads", "length", "width"),
    [(5, (9, 3), 1, 64), (2, (4, 4), 7, 80), (3, (1, 1), 2, 6), (2, (5, 1), 3, 128)],
)
@pytest.mark.parametrize("shared", [False, True])
def test_rotary_positions(
    batch: int,
    heads: tuple[int, int],
    length: int,
    width: int,
    shared: bool,
    dtype: torch.dtype,
    of_angles: torch.dtype,
) -> None:
    """Products and sums are torch's to the bit, and gradients lie in memory as what they are the gradients of."""
    from thicket.ops.kernels.elementwise_backward import rotary

    given = [random(batch, length, count, width, dtype=dtype, seed=count).transpose(1, 2) for count in heads]
    cos, sin = (random(1 if shared else batch, length, width, dtype=of_angles, seed=seed) for seed in (7, 8))
    found, expected = (
        gradients(lambda q, k, function=function: function(q, k, cos, sin), given)
        for function in (rotary, apply_rotary_pos_emb)
    )
    for one, mine, own in zip(given, found, expected, strict=True):
        assert mine.dtype == own.dtype
        assert mine.equal(own)
        assert mine.stride() == one.stride()


@on_kernel
@pytest.mark.gpu
def test_a_rotation_back_undoes_a_rotation() -> None:
    from thicket.ops.kernels.elementwise_backward import rotary

    angle = random(2, 5, 8)
    cos, sin = (torch.cat([one, one], dim=-1) for one in (angle.cos(), angle.sin()))
    q, k = random(2, 3, 5, 16).requires_grad_(), random(2, 1, 5, 16, seed=1).requires_grad_()
    turned = rotary(q, k, cos, sin)
    back = torch.autograd.grad(turned, [q, k], [one.detach() for one in turned])
    for one, given in zip(back, (q, k), strict=True):
        torch.testing.assert_close(one, given, rtol=1e-5, atol=1e-6)


@on_kernel
@pytest.mark.gpu
@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("kind", list(ACTS))
@pytest.mark.parametrize("shape", [(5, 1, 1536), (3, 333), (1,), (0, 4)])
def test_gates(shape: tuple[int, ...], kind: str, dtype: torch.dtype) -> None:
    from thicket.ops.kernels.elementwise_backward import gated

    given = [random(*shape, dtype=dtype) * 2, random(*shape, dtype=dtype, seed=1)]
    found = gradients(lambda gate, up: gated(gate, up, kind), given)
    for mine, own in zip(found, gradients(lambda gate, up: ACTS[kind](gate) * up, given), strict=True):
        assert_alike(mine, own, dtype)
    if dtype == torch.float32:
        exact = gradients(lambda gate, up: ACTS[kind](gate) * up, [one.double() for one in given])
        for mine, own in zip(found, exact, strict=True):
            assert_alike(mine, own.float(), dtype)


@on_kernel
@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, HALF], ids=str)
@pytest.mark.parametrize("kind", list(ACTS))
def test_gates_far_out(kind: str, dtype: torch.dtype) -> None:
    """An activation is flat or straight there, and nothing overflows into NaN."""
    from thicket.ops.kernels.elementwise_backward import gated

    most = torch.finfo(dtype).max
    gate = torch.tensor([0.0, -0.0, 100.0, -100.0, 6e4, -6e4, most, -most]).to(dtype).to(DEVICE).requires_grad_()
    (slope,) = torch.autograd.grad(gated(gate, torch.ones_like(gate), kind).sum(), [gate])
    expected = torch.tensor([0.5, 0.5, 1, 0, 1, 0, 1, 0], dtype=dtype, device=DEVICE)
    torch.testing.assert_close(slope, expected, rtol=0, atol=1e-6)


@on_kernel
@pytest.mark.gpu
def test_no_second_derivative_is_made_up() -> None:
    from thicket.ops.kernels.elementwise_backward import gated

    gate = random(5).requires_grad_()
    (slope,) = torch.autograd.grad(gated(gate, gate, "silu").square().sum(), [gate], create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        slope.sum().backward()
