"""Merges in weight space, against their published definitions written out as loops over single numbers."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from thicket.config.merging import Dare, Soup, TaskArithmetic, Ties
from thicket.methods import dare, soup, task_arithmetic, ties
from thicket.methods.recipe import Ingredient, Recipe
from thicket.models import merging
from thicket.models.characters import character_tokenizer
from thicket.models.folder import load_model, save_model
from thicket.models.merging import Merge, merged
from thicket.ops.dropping import CHUNK, dropped

COUNT, SHAPE = 3, (7, 5)
WEIGHTS = [1.0, 0.5, 2.0]


def recipe(weights: list[float], scale: float = 1.0) -> Recipe:
    return Recipe(tuple(Ingredient(f"m{i}", Path(f"m{i}"), weight) for i, weight in enumerate(weights)), scale)


@pytest.fixture
def drawn() -> tuple[Tensor, list[Tensor]]:
    """A base, and models near it."""
    generator = torch.Generator().manual_seed(0)
    base = torch.randn(SHAPE, generator=generator, dtype=torch.float64)
    return base, [base + 0.1 * torch.randn(SHAPE, generator=generator, dtype=torch.float64) for _ in range(COUNT)]


def by_element(base: Tensor, models: list[Tensor], value: Callable[[float, list[float]], float]) -> Tensor:
    """value(base's number, the models' differences from it) at every place."""
    rows = zip(base.flatten().tolist(), *(model.flatten().tolist() for model in models), strict=True)
    return torch.tensor([value(b, [x - b for x in xs]) for b, *xs in rows], dtype=torch.float64).view_as(base)


def trimmed(model: Tensor, base: Tensor, density: float) -> Tensor:
    """The base with the largest differences of a model."""
    differences = (model - base).flatten().tolist()
    kept = sorted(range(len(differences)), key=lambda i: -abs(differences[i]))[: int(density * len(differences))]
    flat = [d if i in kept else 0.0 for i, d in enumerate(differences)]
    return base + torch.tensor(flat, dtype=torch.float64).view_as(base)


def disjoint_mean(differences: list[float], weights: list[float]) -> float:
    mass = sum(w * d for w, d in zip(weights, differences, strict=True))
    agreeing = [(w, d) for w, d in zip(weights, differences, strict=True) if d * mass > 0]
    return sum(w * d for w, d in agreeing) / sum(w for w, _ in agreeing) if agreeing else 0.0


def close(found: Tensor, wanted: Tensor) -> None:
    assert found.dtype == torch.float64
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-13)


def test_the_mean(drawn: tuple[Tensor, list[Tensor]]) -> None:
    base, models = drawn
    found = soup.merge(Soup(type="soup"), recipe(WEIGHTS), 0)("w", base, models)
    close(found, by_element(base, models, lambda b, ds: b + sum(map(math.prod, zip(WEIGHTS, ds, strict=True))) / 3.5))


def test_task_arithmetic(drawn: tuple[Tensor, list[Tensor]]) -> None:
    base, models = drawn
    found = task_arithmetic.merge(TaskArithmetic(type="task_arithmetic"), recipe(WEIGHTS, 0.3), 0)("w", base, models)
    close(found, by_element(base, models, lambda b, ds: b + 0.3 * sum(map(math.prod, zip(WEIGHTS, ds, strict=True)))))


@pytest.mark.parametrize("density", [0.2, 0.5, 1.0])
def test_ties(drawn: tuple[Tensor, list[Tensor]], density: float) -> None:
    base, models = drawn
    found = ties.merge(Ties(type="ties", density=density), recipe(WEIGHTS, 0.7), 0)("w", base, models)
    left = [trimmed(model, base, density) for model in models]
    # A difference that was trimmed is 0 but for the rounding of `base + 0 − base`, which is exact.
    close(found, by_element(base, left, lambda b, ds: b + 0.7 * disjoint_mean(ds, WEIGHTS)))


def test_by_hand() -> None:
    """Differences (4, −1, 0, 2) and (2, 3, 1, −2): of each the larger half stays, 4 and 2, and 2 (the first) and 3."""
    base = torch.tensor([1.0, 1.0, 1.0, 1.0], dtype=torch.float64)
    models = [torch.tensor(values, dtype=torch.float64) for values in ([5.0, 0.0, 1.0, 3.0], [3.5, 4.0, 2.0, -1.0])]
    even = recipe([1.0, 1.0])
    assert soup.merge(Soup(type="soup"), even, 0)("w", base, models).tolist() == [4.25, 2.0, 1.5, 1.0]
    added = task_arithmetic.merge(TaskArithmetic(type="task_arithmetic"), recipe([1.0, 1.0], 0.5), 0)
    assert added("w", base, models).tolist() == [4.25, 2.0, 1.5, 1.0]
    # Kept: (4, ·, ·, 2) and (2.5, 3, ·, ·): the means of those that agree are 3.25, 3, none, 2.
    agreeing = ties.merge(Ties(type="ties", density=0.5), recipe([1.0, 1.0], 2.0), 0)
    assert agreeing("w", base, models).tolist() == [7.5, 7.0, 1.0, 5.0]


def test_ties_of_what_agrees_is_the_mean(drawn: tuple[Tensor, list[Tensor]]) -> None:
    base, models = drawn
    above = [base + (model - base).abs() for model in models]
    found = ties.merge(Ties(type="ties", density=1.0), recipe([1.0] * COUNT), 0)("w", base, above)
    close(found, soup.merge(Soup(type="soup"), recipe([1.0] * COUNT), 0)("w", base, above))


def test_the_mean_is_task_arithmetic_at_one_over_n(drawn: tuple[Tensor, list[Tensor]]) -> None:
    base, models = drawn
    scaled = task_arithmetic.merge(TaskArithmetic(type="task_arithmetic"), recipe([1.0] * COUNT, 1 / COUNT), 0)
    close(scaled("w", base, models), soup.merge(Soup(type="soup"), recipe([1.0] * COUNT), 0)("w", base, models))


# -- DARE --------------------------------------------------------------------------------------------------------------


def dare_of(weights: list[float], seed: int, drop: float, then: str = "task_arithmetic") -> Merge:
    return dare.merge(Dare(type="dare", drop=drop, then=then), recipe(weights, 0.5), seed)  # type: ignore[arg-type]


def test_dare_that_drops_nothing_is_task_arithmetic_or_ties(drawn: tuple[Tensor, list[Tensor]]) -> None:
    base, models = drawn
    added = task_arithmetic.merge(TaskArithmetic(type="task_arithmetic"), recipe(WEIGHTS, 0.5), 0)
    close(dare_of(WEIGHTS, 3, 0.0)("w", base, models), added("w", base, models))
    agreeing = ties.merge(Ties(type="ties", density=1.0), recipe(WEIGHTS, 0.5), 0)
    close(dare_of(WEIGHTS, 3, 0.0, "ties")("w", base, models), agreeing("w", base, models))


def test_what_is_left_is_rescaled_by_one_over_one_minus_p(drawn: tuple[Tensor, list[Tensor]]) -> None:
    base, models = drawn
    found = dare_of([1.0], 0, 0.75)("w", base, models[:1])
    ratio = (found - base) / (0.5 * (models[0] - base))
    assert sorted({round(value, 6) for value in ratio.flatten().tolist()}) == [0.0, 4.0]


def test_dare_is_task_arithmetic_on_average(drawn: tuple[Tensor, list[Tensor]]) -> None:
    base, models = drawn
    seeds, p = 4000, 0.5
    mean = sum(dare_of(WEIGHTS, seed, p)("w", base, models) for seed in range(seeds)) / seeds
    wanted = task_arithmetic.merge(TaskArithmetic(type="task_arithmetic"), recipe(WEIGHTS, 0.5), 0)("w", base, models)
    # The variance of a dropped and rescaled difference d is d² p/(1 − p).
    spread = by_element(
        base, models, lambda b, ds: math.hypot(*(0.5 * w * d for w, d in zip(WEIGHTS, ds, strict=True)))
    )
    assert ((mean - wanted).abs() < 4.5 * spread * math.sqrt(p / (1 - p) / seeds)).all()


def test_draws_are_named_by_seed_teacher_and_tensor(drawn: tuple[Tensor, list[Tensor]]) -> None:
    base, models = drawn
    same = [models[0]] * 2
    merge = dare_of([1.0], 0, 0.5)
    first = merge("w", base, same[:1])
    assert merge("v", base, same[:1]).ne(first).any(), "another tensor"
    assert merge("w", base, same[:1]).equal(first), "whatever was drawn in between"
    assert dare_of([1.0], 1, 0.5)("w", base, same[:1]).ne(first).any(), "another seed"
    second = dare.merge(Dare(type="dare", drop=0.5), Recipe((Ingredient("other", Path("m0"), 1.0),), 0.5), 0)
    assert second("w", base, same[:1]).ne(first).any(), "another teacher"


def test_the_share_that_is_dropped_and_its_chunks() -> None:
    ones = torch.ones(CHUNK + 1000, dtype=torch.float64)
    found = dropped(ones, 0.9, key=5)
    assert found.eq(0).double().mean().item() == pytest.approx(0.9, abs=5 * math.sqrt(0.09 / len(ones)))
    assert dropped(ones[:1000], 0.9, key=5).equal(found[:1000]), "a draw does not depend on how many there are"
    assert found[CHUNK:].ne(found[:1000]).any()


# -- folders -----------------------------------------------------------------------------------------------------------


def saved(root: Path, name: str, seed: int, **sizes: Any) -> Path:
    from thicket.config.base import Architecture
    from thicket.models.scratch import fresh_model

    shape = Architecture(**{"layers": 1, "width": 16, "heads": 2, "mlp_width": 24, "context": 64, **sizes})
    tokenizer = character_tokenizer()
    save_model(fresh_model(shape, tokenizer, seed), tokenizer, root / name)
    return root / name


@pytest.mark.parametrize("sizes", [{}, {"experts": 4, "active": 2}], ids=["dense", "mixture"])
def test_a_model_is_merged_tensor_by_tensor(tmp_path: Path, sizes: dict[str, int]) -> None:
    base, *others = [saved(tmp_path, name, seed, **sizes) for seed, name in enumerate(("base", "one", "two"))]
    found = merged(base, others, soup.merge(Soup(type="soup"), recipe([1.0, 3.0]), 0)).state_dict()
    states = [load_model(folder).state_dict() for folder in others]
    assert found.keys() == states[0].keys()
    for name, values in found.items():
        wanted = (states[0][name].double() + 3 * states[1][name].double()) / 4
        assert values.equal(wanted.float()), name


def test_a_mean_of_one_is_that_model_to_the_bit(tmp_path: Path) -> None:
    base, one = saved(tmp_path, "base", 0), saved(tmp_path, "one", 1)
    found = merged(base, [one], soup.merge(Soup(type="soup"), recipe([0.7]), 0)).state_dict()
    assert all(values.equal(found[name]) for name, values in load_model(one).state_dict().items())


def test_pieces_make_the_whole(drawn: tuple[Tensor, list[Tensor]], monkeypatch: pytest.MonkeyPatch) -> None:
    base, models = drawn
    merge = ties.merge(Ties(type="ties", density=0.4), recipe(WEIGHTS, 0.7), 0)
    whole = merge("w", base, models)
    monkeypatch.setattr(merging, "CHUNK", 4)
    assert merge("w", base, models).equal(whole)


def test_other_shapes_are_named_with_both_models(tmp_path: Path) -> None:
    base = saved(tmp_path, "base", 0)
    mean = soup.merge(Soup(type="soup"), recipe([1.0]), 0)
    with pytest.raises(
        ValueError,
        match=r"wide can't be merged with base: the tensor model\.layers\.0\.mlp\.down_proj\.weight "
        r"is of the shape \[16, 32\] in wide and is of the shape \[16, 24\] in base",
    ):
        merged(base, [saved(tmp_path, "wide", 1, mlp_width=32)], mean)
    with pytest.raises(
        ValueError, match=r"model\.layers\.1\.input_layernorm\.weight is of the shape .* is missing in base"
    ):
        merged(base, [saved(tmp_path, "deep", 1, layers=2)], mean)
