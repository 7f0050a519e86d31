"""Teachers in turn: each is the model of its folder, and its head is read without it."""

from pathlib import Path

import pytest
import torch
from small_models import random_llama

from thicket.models.characters import character_tokenizer
from thicket.models.folder import load_model, save_model
from thicket.models.head import head_of, hidden_states
from thicket.models.teachers import Teachers, Voice

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


def test_nothing_in_turn_is_nothing(folders: dict[str, Path]) -> None:
    assert list(Teachers({}).in_turn([])) == []
