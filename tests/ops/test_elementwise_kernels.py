"""Norms, rotary positions and gates against transformers' modules: on a GPU, and in Triton's interpreter."""

from itertools import product
from typing import Any

import pytest
import torch
from interpreter import DEVICE, TYPES, on_kernel, outside, passes_interpreted
from torch import Tensor
from torch.nn import functional
from transformers.models.gemma3.modeling_gemma3 import Gemma3RMSNorm
from transformers.models.llama.modeling_llama import LlamaRMSNorm, apply_rotary_pos_emb

pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered")  # by the interpreter: infinities in exp
PAIRS = list(product(TYPES, TYPES))
ACTS = {"silu": functional.silu, "gelu_tanh": lambda x: functional.gelu(x, approximate="tanh")}


@pytest.mark.slow
@outside
def test_interpreted() -> None:
    passes_interpreted(__file__)


def random(*shape: int, dtype: torch.dtype, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype).to(DEVICE)


def assert_alike(found: Tensor, expected: Tensor, rounded_to: torch.dtype, apart: float = 0.005) -> None:
    """`apart`: part of the 16-bit results that may be a rounding apart."""
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    rtol = 1e-6 if rounded_to == torch.float32 else torch.finfo(rounded_to).eps
    torch.testing.assert_close(found, expected, rtol=rtol, atol=1e-6)
    if rounded_to != torch.float32 and found.numel():
        assert (~found.isclose(expected, rtol=1e-6, atol=1e-6)).double().mean() <= apart


@on_kernel
@pytest.mark.gpu
@pytest.mark.parametrize(("dtype", "of_weight"), PAIRS, ids=str)
@pytest.mark.parametrize(("kind", "one_more"), [(LlamaRMSNorm, False), (Gemma3RMSNorm, True)])
@pytest.mark.parametrize("shape", [(3, 5, 576), (2, 3, 9, 64), (50, 7), (1, 4096), (0, 64)])
@torch.no_grad()
def test_norms(shape: tuple[int, ...], kind: Any, one_more: bool, dtype: torch.dtype, of_weight: torch.dtype) -> None:
    from thicket.ops.kernels.elementwise import rms_norm

    module = kind(shape[-1], eps=1e-5)
    module.weight.data = random(shape[-1], dtype=of_weight, seed=1)
    for scale in (1.0, 1e-3, 30.0):  # at the second one, epsilon counts
        x = random(*shape, dtype=dtype) * scale
        assert_alike(rms_norm(x, module.weight, 1e-5, one_more), module(x), dtype)


@on_kernel
@pytest.mark.gpu
@torch.no_grad()
def test_a_norm_of_rows_that_lie_apart() -> None:
    from thicket.ops.kernels.elementwise import rms_norm

    x, module = random(2, 5, 3, 80, dtype=torch.float32).transpose(1, 2)[..., :72], LlamaRMSNorm(72).to(DEVICE)
    assert_alike(rms_norm(x, module.weight, 1e-6, one_more=False), module(x), torch.float32)


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
    """Products and sums are torch's to the bit."""
    from thicket.ops.kernels.elementwise import rotary

    # As a model gives them: heads out of one product's row.
    q, k = (random(batch, length, count, width, dtype=dtype, seed=count).transpose(1, 2) for count in heads)
    cos, sin = (random(1 if shared else batch, length, width, dtype=of_angles, seed=seed) for seed in (7, 8))
    for found, expected in zip(rotary(q, k, cos, sin), apply_rotary_pos_emb(q, k, cos, sin), strict=True):
        assert found.dtype == expected.dtype
        assert found.equal(expected)


@on_kernel
@pytest.mark.gpu
def test_rotary_positions_of_any_strides() -> None:
    from thicket.ops.kernels.elementwise import rotary

    together = random(2, 5, 2 * 3 + 4, 32, dtype=torch.float32)
    q, k = together[:, :, :6:2].transpose(1, 2), together[:, :, 6:].transpose(1, 2)
    angles = random(2, 32, 5, dtype=torch.float32).transpose(1, 2)
    for found, expected in zip(
        rotary(q, k, angles, angles + 1), apply_rotary_pos_emb(q, k, angles, angles + 1), strict=True
    ):
        assert found.equal(expected)


@on_kernel
@pytest.mark.gpu
@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("kind", list(ACTS))
@pytest.mark.parametrize("shape", [(5, 1, 1536), (3, 333), (1,), (0, 4)])
def test_gates(shape: tuple[int, ...], kind: str, dtype: torch.dtype) -> None:
    from thicket.ops.kernels.elementwise import gated

    gate, up = random(*shape, dtype=dtype) * 2, random(*shape, dtype=dtype, seed=1)
    assert_alike(gated(gate, up, kind), ACTS[kind](gate) * up, dtype, apart=0.02)


@on_kernel
@pytest.mark.gpu
@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("kind", list(ACTS))
def test_gates_far_out(kind: str, dtype: torch.dtype) -> None:
    """Nothing overflows into NaN, and what lies apart is put together right."""
    from thicket.ops.kernels.elementwise import gated

    ends = torch.tensor([0.0, -0.0, 8.0, -8.0, 100.0, -100.0, 6e4, -6e4]).to(dtype).to(DEVICE)
    gate = torch.stack([ends, ends], dim=1)[:, 0]
    assert not gate.is_contiguous()
    found, expected = gated(gate, torch.ones_like(gate), kind), ACTS[kind](gate)
    torch.testing.assert_close(found, expected, rtol=torch.finfo(dtype).eps, atol=2e-6)
