"""Gradients in float16: their products with a head, some rows at a time. Legend: N tokens, V words, H hidden width."""

import pytest
import torch

from thicket.ops.half_products import FLOATS, halved, times_weight
from thicket.ops.product_sum import add_product, product_sum


def test_by_hand() -> None:
    """unit · [1, 2] · [[1, 0], [0, 3]] with a unit of a half."""
    out_NH = torch.empty(1, 2, dtype=torch.bfloat16)
    weight_VH = torch.tensor([[1.0, 0.0], [0.0, 3.0]], dtype=torch.bfloat16)
    times_weight(torch.tensor([[1.0, 2.0]]).half(), weight_VH, 0.5, torch.empty(0).half(), out_NH)
    assert out_NH.tolist() == [[0.5, 3.0]]


@pytest.mark.parametrize("rows_of_weight", [0, 1, 7, 100])
def test_the_room_is_no_matter(rows_of_weight: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A room for one row of the weight, for some, for more than all; none: one is made."""
    monkeypatch.setattr("thicket.ops.half_products.LEAST", 16)
    generator = torch.Generator().manual_seed(0)
    gradient_NV = torch.randn(3, 50, generator=generator).half()
    weight_VH = torch.randn(50, 16, generator=generator).bfloat16()
    spare = torch.full((3 * 16 * FLOATS + rows_of_weight * 16,), torch.inf).half()
    out_NH = torch.empty(3, 16)
    times_weight(gradient_NV, weight_VH, 2.0**-10, spare, out_NH)
    exact_NH = gradient_NV.double() @ weight_VH.double() * 2.0**-10
    torch.testing.assert_close(out_NH.double(), exact_NH, rtol=1e-5, atol=1e-7)


def test_gradients_of_different_units_add_up() -> None:
    generator = torch.Generator().manual_seed(0)
    (one_NV, other_NV), hidden_NH = torch.randn(2, 4, 8, generator=generator), torch.randn(4, 3, generator=generator)
    total = product_sum(torch.empty(8, 3), hidden_NH.half())
    total.add(one_NV.half(), hidden_NH.half(), 0.25)
    total.add(other_NV.half(), hidden_NH.half())
    exact_VH = (0.25 * one_NV + other_NV).t() @ hidden_NH
    torch.testing.assert_close(total.finish(torch.tensor(2.0)), 2 * exact_VH, rtol=5e-3, atol=5e-3)


def test_what_was_in_memory_does_not_count() -> None:
    total_RC = torch.full((1, 1), torch.nan)
    add_product(total_RC, torch.tensor([[2.0]]), torch.tensor([[3.0]]), keep=False)
    assert total_RC.tolist() == [[6.0]]


def test_halved_without_room() -> None:
    matrix = torch.tensor([[0.5, 2.0]], dtype=torch.bfloat16)
    for room in (torch.empty(1).half(), torch.empty(5).half()):
        assert torch.equal(halved(matrix, room), matrix.half())
