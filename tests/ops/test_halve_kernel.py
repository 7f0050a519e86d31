"""The conversion to float16 against torch's, to the bit: on a GPU, and in Triton's interpreter where Triton is."""

import pytest
import torch
from interpreter import DEVICE, TYPES, on_kernel, outside, passes_interpreted

AT_THE_ENDS = [0.0, -0.0, 65_504.0, -65_520.0, 1e5, 6e-5, 6e-8, -1e-9, torch.inf, -torch.inf, torch.nan]
"""Of float16: its largest number and what is beyond it, its least ones and what is below them."""


@pytest.mark.slow
@outside
def test_interpreted() -> None:
    passes_interpreted(__file__)


@on_kernel
@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore:overflow encountered")  # by the interpreter
@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("shape", [(1, 1), (4, 4096), (61, 151)], ids=str)
def test_the_kernel_is_torch_s_conversion(dtype: torch.dtype, shape: tuple[int, int]) -> None:
    from thicket.ops.kernels.halve import halve

    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(dtype)
    ends = torch.tensor(AT_THE_ENDS).to(dtype)[: matrix.numel()]
    matrix.view(-1)[: len(ends)] = ends
    out = torch.full(shape, 7.0, dtype=torch.float16, device=DEVICE)
    halve(matrix.to(DEVICE), out)
    torch.testing.assert_close(out.cpu(), matrix.half(), rtol=0, atol=0, equal_nan=True)
