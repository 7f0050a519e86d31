"""Sketches: what the map is, element by element, and the mean and spread of the products that it keeps."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from thicket.ops import draws, sketch

SIZE = 64


def sketched(vector: Tensor, key: int, size: int = SIZE) -> Tensor:
    found_M = torch.zeros(size, dtype=vector.dtype)
    sketch.add(found_M, vector, key)
    return found_M


def random(count: int, seed: int) -> Tensor:
    return torch.randn(count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_each_element_goes_to_one_bucket_with_a_sign() -> None:
    """By the scalar functions: bit n of the signs' words, and the turn of the element's row."""
    vector, key, expected = random(3 * SIZE + 5, 0), 11, [0.0] * SIZE
    for n, value in enumerate(vector.tolist()):
        word = draws.mix((n // 64) ^ draws.key(key, 0))
        turn = draws.mix((n // SIZE) ^ draws.key(key, 1)) % SIZE
        expected[(n + turn) % SIZE] += value * (1 if word >> n % 64 & 1 else -1)
    assert sketched(vector, key).tolist() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("kind", ["spread", "heavy", "columns"])
def test_products_are_kept(kind: str) -> None:
    """Unbiased, and within the stated bound: of even vectors, of some with a few heavy elements, and of a matrix whose
    mass is in one column, which a map without turns would put into few buckets."""
    x, y = random(16 * SIZE, 1), random(16 * SIZE, 2) + 0.5 * random(16 * SIZE, 1)
    if kind == "heavy":
        x, y = x.pow(5), y.pow(5)
    if kind == "columns":
        x, y = (torch.where(torch.arange(len(one)) % 16 == 3, one, 0.01 * one) for one in (x, y))
    found = [float(sketched(x, key) @ sketched(y, key)) for key in range(800)]
    length, exact = float(x.norm() * y.norm()), float(x @ y)
    assert np.std(found) < math.sqrt(2 / SIZE) * length * 1.1
    assert abs(np.mean(found) - exact) < 4 * np.std(found) / math.sqrt(len(found))
    assert np.std(found) > 0.1 * length * math.sqrt(1 / SIZE)


def test_it_is_linear_and_parts_add_up() -> None:
    x, y = random(500, 3), random(500, 4)
    torch.testing.assert_close(sketched(2 * x - y, 5), 2 * sketched(x, 5) - sketched(y, 5), rtol=0, atol=1e-12)
    both_M = torch.zeros(SIZE, dtype=torch.float64)
    sketch.add(both_M, x.view(20, 25), 5)
    sketch.add(both_M, y, 6)
    torch.testing.assert_close(both_M, sketched(x, 5) + sketched(y, 6), rtol=0, atol=1e-12)
    assert not sketched(x, 5).equal(sketched(x, 6))


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = sketched(random(1000, 7), 8)
    monkeypatch.setattr(sketch, "CHUNK", 2 * SIZE)
    torch.testing.assert_close(sketched(random(1000, 7), 8), whole, rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", [32, 96])
def test_a_size_that_is_none(size: int) -> None:
    with pytest.raises(ValueError, match=f"not {size}"):
        sketched(random(10, 0), 0, size)
