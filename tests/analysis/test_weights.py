"""Differences of weights against sums written out in float64, read a few rows at a time."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from dealing import dealt
from safetensors.torch import load_file, save_file
from torch import Tensor

from thicket.analysis import weights as module
from thicket.analysis.case import Subject
from thicket.analysis.weights import ALL, Change, Weights, changes, defined, group, grouped, opened, random_direction
from thicket.ops import noise

NAMES = {
    "model.embed_tokens.weight": (20, 8),
    "model.layers.0.self_attn.q_proj.weight": (8, 8),
    "model.layers.0.self_attn.q_proj.bias": (8,),
    "model.layers.1.self_attn.q_proj.weight": (8, 8),
    "model.layers.1.input_layernorm.weight": (8,),
    "scale": (),
}
SEEDS = [3, 4]


def write(folder: Path, state: dict[str, Tensor]) -> Subject:
    folder.mkdir(parents=True)
    save_file(state, folder / "model.safetensors")
    return Subject(folder.name, folder)


def drawn(seed: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(shape, generator=generator) for name, shape in NAMES.items()}


def added(state: dict[str, Tensor], other: dict[str, Tensor], share: float) -> dict[str, Tensor]:
    return {name: tensor + share * other[name] for name, tensor in state.items()}


def found(subjects: Sequence[Subject], seeds: Sequence[int] = ()) -> dict[str, Change]:
    with opened(subjects) as weights:
        return changes(weights, seeds)


@pytest.fixture
def subjects(tmp_path: Path) -> list[Subject]:
    """A base, and two models near it, the first of which has one parameter from the base."""
    base = drawn(0)
    near = {
        **added(base, drawn(1), 0.1),
        "model.layers.1.self_attn.q_proj.weight": base["model.layers.1.self_attn.q_proj.weight"],
    }
    states = {"base": base, "near": near, "far": added(base, drawn(2), 0.5)}
    return [write(tmp_path / name, state) for name, state in states.items()]


def flat(subject: Subject) -> dict[str, np.ndarray]:
    return {k: v.double().flatten().numpy() for k, v in load_file(subject.folder / "model.safetensors").items()}


def test_against_sums_written_out(subjects: list[Subject]) -> None:
    by_name = found(subjects, SEEDS)
    base, *others = map(flat, subjects)
    assert list(by_name) == sorted(NAMES)
    for name, change in by_name.items():
        deltas = [other[name] - base[name] for other in others]
        assert change.size == base[name].size
        assert change.square == pytest.approx(float(base[name] @ base[name]))
        np.testing.assert_allclose(
            change.products_MM, [[a @ b for b in deltas] for a in deltas], rtol=1e-12, atol=1e-15
        )
        assert change.unchanged_M.tolist() == [int((delta == 0).sum()) for delta in deltas]
        for number, seed in enumerate(SEEDS):
            noise_N = noise.normal(noise.key_of(seed, name), 0, base[name].size).double().numpy()
            for model, delta in enumerate(deltas):
                scale = np.linalg.norm(delta) / np.linalg.norm(noise_N)
                assert change.along_MR[model, number] == pytest.approx(scale * float(delta @ noise_N))
        np.testing.assert_allclose(change.spread_M, [(delta @ delta) ** 2 / delta.size for delta in deltas])


def test_all_together(subjects: list[Subject]) -> None:
    """One long vector of all parameters, against directions that are scaled parameter by parameter."""
    whole = grouped(found(subjects, SEEDS))[ALL, ALL]
    base, near, far = (np.concatenate([flat(one)[name] for name in sorted(NAMES)]) for one in subjects)
    one, other = near - base, far - base
    assert whole.norms_M == pytest.approx([np.linalg.norm(one), np.linalg.norm(other)])
    assert whole.relative_M == pytest.approx(whole.norms_M / np.linalg.norm(base))
    assert whole.cosines_MM[0, 1] == pytest.approx(one @ other / np.linalg.norm(one) / np.linalg.norm(other))
    assert np.diag(whole.cosines_MM) == pytest.approx([1, 1])
    assert whole.unchanged_share_M == pytest.approx([64 / one.size, 0])
    by_name = found(subjects, SEEDS)
    pieces = [
        random_direction(name, change.size, float(change.norms_M[1]), SEEDS[0], "cpu").double().numpy()
        for name, change in by_name.items()
    ]
    direction = np.concatenate(pieces)
    assert np.linalg.norm(direction) == pytest.approx(np.linalg.norm(other), rel=1e-6)
    cosine = direction @ other / np.linalg.norm(direction) / np.linalg.norm(other)
    assert whole.random_cosines_MR[1, 0] == pytest.approx(cosine, abs=1e-6)


def test_by_hand(tmp_path: Path) -> None:
    base = write(tmp_path / "base", {"w": torch.tensor([[1.0, 2.0], [3.0, 4.0]])})
    other = write(tmp_path / "other", {"w": torch.tensor([[1.0, 2.0], [6.0, 0.0]])})
    (change,) = found([base, other]).values()
    assert (change.norms_M[0], change.relative_M[0]) == (5.0, 5 / math.sqrt(30))
    assert change.unchanged_share_M.tolist() == [0.5]


def test_itself_and_its_negative(tmp_path: Path) -> None:
    """A difference of a power of two is exact."""
    base, sign = drawn(0), {name: tensor.sign() for name, tensor in drawn(1).items()}
    base = {name: (tensor * 64).round() for name, tensor in base.items()}
    shares = {"base": 0.0, "one": 0.5, "same": 0.5, "back": -0.5}
    whole = grouped(found([write(tmp_path / name, added(base, sign, share)) for name, share in shares.items()]))
    for change in whole.values():
        np.testing.assert_allclose(change.cosines_MM, [[1, 1, -1], [1, 1, -1], [-1, -1, 1]], atol=1e-12)


def test_a_model_that_did_not_change(tmp_path: Path) -> None:
    change = grouped(found([write(tmp_path / name, drawn(0)) for name in ("base", "twin")], SEEDS))[ALL, ALL]
    assert (change.norms_M[0], change.relative_M[0], change.unchanged_share_M[0]) == (0, 0, 1)
    assert defined(change.cosines_MM[0, 0]) is None
    assert defined(change.random_cosines_MR[0, 0]) is None
    assert defined(change.random_deviation_M[0]) is None


@pytest.mark.parametrize("chunk", [1, 20, 64])
def test_rows_are_read_a_few_at_a_time(subjects: list[Subject], chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, sizes, read = found(subjects, SEEDS), [], Weights.read

    def noted(self: Weights, name: str, rows: slice = slice(None)) -> Tensor:
        sizes.append(read(self, name, rows).numel())
        return read(self, name, rows)

    monkeypatch.setattr(Weights, "read", noted)
    monkeypatch.setattr(module, "CHUNK", chunk)
    parts = found(subjects, SEEDS)
    assert max(sizes) <= max(chunk, 8)
    for name, change in whole.items():
        for field in ("square", "products_MM", "unchanged_M", "along_MR", "spread_M"):
            np.testing.assert_allclose(getattr(parts[name], field), getattr(change, field), rtol=1e-12, atol=1e-14)


def test_rows_are_dealt_out(subjects: list[Subject], monkeypatch: pytest.MonkeyPatch) -> None:
    """And what is made of them is that of one process, to the bit."""
    monkeypatch.setattr(module, "CHUNK", 40)
    whole, dealings = found(subjects, SEEDS), dealt(monkeypatch)
    parts = found(subjects, SEEDS)
    assert list(map(len, dealings.shares)) == [4 + 2 + 2 + 1 + 1 + 1]
    assert list(parts) == list(whole)
    for name, change in whole.items():
        for field in ("square", "products_MM", "unchanged_M", "along_MR", "spread_M"):
            np.testing.assert_array_equal(getattr(parts[name], field), getattr(change, field))


def test_what_goes_round_is_no_part_of_what_was_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A view would be handed round with all of it."""
    full = {name: torch.full((100, 100), value) for name, value in (("base", 1.0), ("other", 2.0))}
    subjects = [write(tmp_path / name, {"w": tensor}) for name, tensor in full.items()]
    dealings = dealt(monkeypatch)
    found(subjects, SEEDS)
    assert sum(map(sum, dealings.shares)) < 4 * 100 * 100 / 10


def test_several_files_are_one_model(subjects: list[Subject], tmp_path: Path) -> None:
    state, folder = load_file(subjects[1].folder / "model.safetensors"), tmp_path / "sharded"
    names = sorted(state)
    write(folder, {name: state[name] for name in names[:3]})
    save_file({name: state[name] for name in names[3:]}, folder / "model-2.safetensors")
    one, other = found(subjects[:2]), found([subjects[0], Subject("sharded", folder)])
    assert [change.products_MM for change in one.values()] == [change.products_MM for change in other.values()]


def test_random_directions_have_their_length_and_go_nowhere() -> None:
    """|cosine| < 5/√d with a fixed vector and with each other."""
    d, norm = 4096, 0.37
    fixed = torch.randn(d, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    directions = [random_direction("w", d, norm, seed, "cpu").double() for seed in range(20)]
    for place, one in enumerate(directions):
        assert float(one.norm()) == pytest.approx(norm, rel=1e-6)
        for other in (fixed, *directions[:place]):
            cosine = float(one @ other / one.norm() / other.norm())
            assert abs(cosine) < 5 / math.sqrt(d)
    assert float(random_direction("other", d, norm, 0, "cpu").double() @ directions[0]) < 5 * norm**2 / math.sqrt(d)


def test_the_deviation_of_random_cosines(subjects: list[Subject]) -> None:
    """Of many directions, against the one that is expected."""
    change = grouped(found(subjects, range(800)))[ALL, ALL]
    np.testing.assert_allclose(change.random_cosines_MR.std(axis=1), change.random_deviation_M, rtol=0.1)
    assert (np.abs(change.random_cosines_MR.mean(axis=1)) < 4 * change.random_deviation_M / math.sqrt(800)).all()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("model.embed_tokens.weight", ("", "embedding")),
        ("model.layers.11.self_attn.k_proj.bias", ("11", "k")),
        ("model.layers.0.self_attn.o_proj.weight", ("0", "o")),
        ("model.layers.0.self_attn.q_norm.weight", ("0", "norm")),
        ("model.layers.3.post_attention_layernorm.weight", ("3", "norm")),
        ("model.layers.2.mlp.experts.7.gate_proj.weight", ("2", "gate")),
        ("model.layers.2.mlp.gate.weight", ("2", "other")),
        ("model.norm.weight", ("", "norm")),
        ("lm_head.weight", ("", "head")),
        ("weight", ("", "other")),
    ],
)
def test_kinds_by_name(name: str, expected: tuple[str, str]) -> None:
    assert group(name) == expected


def test_groups_add_up(subjects: list[Subject]) -> None:
    groups = grouped(found(subjects))
    squares = {key: change.norms_M**2 for key, change in groups.items()}
    np.testing.assert_allclose(squares[ALL, "q"], squares["0", "q"] + squares["1", "q"])
    assert groups["0", "q"].size == 64 + 8
    kinds = [square for (layer, kind), square in squares.items() if layer == ALL and kind != ALL]
    np.testing.assert_allclose(sum(kinds), squares[ALL, ALL])


def test_progress(subjects: list[Subject]) -> None:
    told: list[float] = []
    with opened(subjects) as weights:
        changes(weights, tell=told.append)
    assert told == sorted(told)
    assert told[-1] == 1


def test_other_shapes_are_refused(tmp_path: Path) -> None:
    base = write(tmp_path / "base", {"w": torch.zeros(2, 3)})
    with pytest.raises(ValueError, match=r"wide can't be .* base .* \[2, 4\] in wide and .* \[2, 3\] in base"):
        found([base, write(tmp_path / "wide", {"w": torch.zeros(2, 4)})])
    with pytest.raises(ValueError, match=r"v is .* \[1\] in more and is missing in base"):
        found([base, write(tmp_path / "more", {"w": torch.zeros(2, 3), "v": torch.zeros(1)})])
    with pytest.raises(ValueError, match="no such folder"):
        found([base, Subject("none", tmp_path / "none")])
