"""Attention by spans against plain float64: on a GPU, and in Triton's interpreter wherever Triton is installed."""

import pytest
import torch
from interpreter import DEVICE, TYPES, on_kernel, outside, passes_interpreted
from torch import Tensor

SHAPES = [
    (3, 9, 3, 64, 64, 70),
    (2, 4, 4, 80, 80, 130),
    (4, 8, 1, 16, 16, 5),
    (1, 6, 2, 128, 128, 64),
    (2, 4, 1, 256, 256, 70),
    (2, 4, 2, 192, 128, 70),
    (2, 4, 1, 264, 128, 40),
]
"""Slots, query heads, key-value heads, width of a key, of a value, cache positions."""


@pytest.mark.slow
@outside
def test_interpreted() -> None:
    passes_interpreted(__file__)


def drawn(*shape: int, dtype: torch.dtype) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape))).to(DEVICE, dtype)


def by_hand(query_SQ1D: Tensor, keys_SGLD: Tensor, values_SGLE: Tensor, span_S2: Tensor, scale: float) -> Tensor:
    shared = query_SQ1D.shape[1] // keys_SGLD.shape[1]
    rows = []
    for slot, (first, last) in enumerate(span_S2.tolist()):
        keys, values = (
            one[slot, :, first : last + 1].double().repeat_interleave(shared, 0) for one in (keys_SGLD, values_SGLE)
        )
        weights = (query_SQ1D[slot].double() @ keys.transpose(1, 2) * scale).softmax(dim=-1)
        rows.append((weights @ values).transpose(0, 1))
    return torch.stack(rows)


@on_kernel
@pytest.mark.gpu
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_attention_is_that_over_the_span(shape: tuple[int, int, int, int, int, int], dtype: torch.dtype) -> None:
    from thicket.ops.kernels.attend import attend

    slots, heads, groups, width, value, length = shape
    # As a model gives them: heads out of one product's row.
    query_SQ1D = drawn(slots, 1, heads, width, dtype=dtype).transpose(1, 2) * 3
    keys_SGLD, values_SGLE = drawn(2, slots, groups, length, width, dtype=dtype).unbind()
    values_SGLE = values_SGLE[..., :value].contiguous()
    last_S = torch.linspace(0, length - 1, slots).long()
    for first_S in (torch.zeros_like(last_S), (last_S - 3).clamp(min=0)):
        span_S2 = torch.stack([first_S, last_S], dim=1).to(DEVICE)
        hidden_SGLE = values_SGLE.clone()
        for slot, (first, last) in enumerate(span_S2.tolist()):  # What is beyond is not looked at.
            hidden_SGLE[slot, :, last + 1 :] = float("nan")
            hidden_SGLE[slot, :, :first] = float("nan")
        found = attend(query_SQ1D, keys_SGLD, hidden_SGLE, span_S2, 0.3)
        expected = by_hand(query_SQ1D, keys_SGLD, values_SGLE, span_S2, 0.3)
        error = {torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 2e-2}[dtype]
        torch.testing.assert_close(found.double(), expected, rtol=error, atol=error)


@on_kernel
@pytest.mark.gpu
def test_a_slot_that_sees_nothing_says_nothing() -> None:
    from thicket.ops.kernels.attend import attend

    query, keys, values = drawn(2, 4, 1, 16, dtype=torch.float32), *drawn(2, 2, 2, 8, 16, dtype=torch.float32)
    span_S2 = torch.tensor([[0, -1], [0, 0]], device=DEVICE)
    found = attend(query, keys, values, span_S2, 1.0)
    assert not found[0].any()
    torch.testing.assert_close(found[1, 0], values[1, :, 0].repeat_interleave(2, 0))


@on_kernel
@pytest.mark.gpu
@pytest.mark.parametrize("groups", [1, 3])
def test_keys_and_values_go_to_their_places(groups: int) -> None:
    from thicket.ops.kernels.attend import put

    slots, length, width = 4, 7, 20
    keys, values = drawn(2, slots, groups, length, width, dtype=torch.float32).half()
    new_key = drawn(slots, 1, groups, width, dtype=torch.float32).transpose(1, 2)
    new_value = new_key * 2
    at_S = torch.tensor([0, 6, 3, 3], device=DEVICE)
    expected = []
    for own, new in ((keys.clone(), new_key), (values.clone(), new_value)):
        own[torch.arange(slots), :, at_S.cpu()] = new[:, :, 0].half()
        expected.append(own)
    put(new_key, new_value, keys, values, at_S)
    assert keys.equal(expected[0])
    assert values.equal(expected[1])
