"""Teachers in turn: each is the model of its folder, and its head is read without it."""

import threading
from pathlib import Path

import pytest
import torch
from small_models import random_llama

from thicket.config.on_policy import Lora
from thicket.models.characters import character_tokenizer
from thicket.models.folder import load_model, save_model
from thicket.models.head import head_of, hidden_states
from thicket.models.lora import adapt, merged, save_adapter, touches_head
from thicket.models.perturb import Direction, move
from thicket.models.teachers import State, Teachers, Voice

IDS = torch.tensor([[1, 5, 9, 3], [1, 7, 2, 0]])


def teachers_of(folders: dict[str, Path]) -> Teachers:
    return Teachers({name: Voice(folder) for name, folder in folders.items()})


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Three models of one architecture, one with a tied head, and one that is wider."""
    root, tokenizer = tmp_path_factory.mktemp("teachers"), character_tokenizer()
    sizes = {"vocab_size": len(tokenizer)}
    made = {
        "a": random_llama(1, **sizes),
        "b": random_llama(2, **sizes),
        "c": random_llama(3, **sizes),
        "tied": random_llama(4, **sizes, tie_word_embeddings=True),
        "wide": random_llama(5, **sizes, hidden_size=32),
    }
    for name, model in made.items():
        save_model(model, tokenizer, root / name)
    return {name: root / name for name in made}


def test_each_is_the_model_of_its_folder(folders: dict[str, Path]) -> None:
    teachers = teachers_of(folders)
    for _ in range(2):
        seen = {name: hidden_states(model, IDS).clone() for name, model in teachers.in_turn(list(folders))}
        assert set(seen) == set(folders)
        for name, hidden in seen.items():
            assert hidden.equal(hidden_states(load_model(folders[name]).eval(), IDS)), name


def test_a_head_is_read_whoever_is_in_memory(folders: dict[str, Path]) -> None:
    teachers = teachers_of(folders)
    for present in ("a", "b"):
        for name, _ in teachers.in_turn(["a", "b", "c"]):
            if name == present:
                break
        for name, folder in folders.items():
            head = teachers.head(name, torch.device("cpu"), torch.float32)
            assert head.weight_VH.equal(head_of(load_model(folder)).weight_VH), name


def test_memory_holds_an_architecture_once(folders: dict[str, Path]) -> None:
    teachers = teachers_of({name: folders[name] for name in ("a", "b", "c")})
    assert len(teachers.models) == 1
    assert len(teachers_of(folders).models) == 3
    assert [teachers.width("a"), teachers_of(folders).width("wide")] == [16, 32]


def test_the_one_in_memory_comes_first(folders: dict[str, Path]) -> None:
    teachers = teachers_of({name: folders[name] for name in ("a", "b", "c")})
    assert [name for name, _ in teachers.in_turn(["c", "b", "a"])] == ["a", "c", "b"]
    assert [name for name, _ in teachers.in_turn(["c", "b", "a"])] == ["b", "c", "a"]


def test_the_next_one_is_read_meanwhile(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """And no other: memory holds two at most."""
    read, done, own = list[str](), threading.Event(), Teachers._read

    def reading(self: Teachers, name: str, wanted: set[str] | None = None) -> State:
        state = own(self, name, wanted)
        read.append(name)
        if name == "b":
            done.set()
        return state

    monkeypatch.setattr(Teachers, "_read", reading)
    turns = teachers_of({name: folders[name] for name in ("a", "b", "c")}).in_turn(["a", "b", "c"])
    assert next(turns)[0] == "a"
    assert done.wait(timeout=30), "b is read while a has its turn"
    assert read == ["a", "b"]
    assert [name for name, _ in turns] == ["b", "c"]


@pytest.mark.parametrize("name", ["a", "tied"])
def test_members_of_an_ensemble_are_neighbours_of_its_weights(folders: dict[str, Path], name: str) -> None:
    directions = {"first": Direction(7, 0.1), "second": Direction(8, 0.2)}
    voices = {member: Voice(folders[name], direction) for member, direction in directions.items()}
    teachers = Teachers({**voices, "itself": Voice(folders[name])})
    assert len(teachers.models) == 1
    seen = {one: hidden_states(model, IDS).clone() for one, model in teachers.in_turn(["second", "itself", "first"])}
    for member, direction in directions.items():
        moved = load_model(folders[name]).eval()
        move(moved, [direction])
        assert seen[member].equal(hidden_states(moved, IDS))
        head = teachers.head(member, torch.device("cpu"), torch.float32)
        assert head.weight_VH.equal(head_of(moved).weight_VH), member
    assert seen["itself"].equal(hidden_states(load_model(folders[name]).eval(), IDS))


def test_adapters_go_over_weights_that_stay(folders: dict[str, Path], tmp_path: Path) -> None:
    expected = {}
    for seed, name in enumerate(("first", "second")):
        adapted = adapt(load_model(folders["a"]), Lora(rank=2, alpha=4.0), seed)
        with torch.no_grad():
            for parameter_name, parameter in adapted.named_parameters():
                if "lora_B" in parameter_name:
                    parameter.normal_(generator=torch.Generator().manual_seed(seed))
        save_adapter(adapted, "a", tmp_path / name)
        assert '"base_model_name_or_path": "a"' in (tmp_path / name / "adapter_config.json").read_text()
        assert not touches_head(tmp_path / name)
        expected[name] = hidden_states(merged(adapted).eval(), IDS)
    teachers = Teachers({name: Voice(folders["a"], adapter=tmp_path / name) for name in expected})
    assert len(teachers.models) == 1
    assert teachers.width("first") == 16
    for _ in range(2):
        for name, model in teachers.in_turn(list(expected)):
            torch.testing.assert_close(hidden_states(model, IDS), expected[name], rtol=1e-5, atol=1e-5)
            assert teachers.head(name, torch.device("cpu"), torch.float32).weight_VH.equal(
                head_of(load_model(folders["a"])).weight_VH
            )
    assert not expected["first"].allclose(expected["second"], atol=1e-2)


def test_nothing_in_turn_is_nothing(folders: dict[str, Path]) -> None:
    assert list(Teachers({}).in_turn([])) == []
