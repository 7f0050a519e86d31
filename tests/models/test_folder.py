"""Model folders: what is written, what is read back, and what is refused."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from thicket.config.base import Architecture
from thicket.models.characters import character_tokenizer
from thicket.models.folder import check_same_vocabulary, load_model, load_tokenizer, save_model, weights_hash
from thicket.models.scratch import fresh_model


def toy(tied: bool = True, seed: int = 0) -> PreTrainedModel:
    shape = Architecture(layers=1, width=16, heads=2, mlp_width=24, context=64, tied=tied)
    return fresh_model(shape, character_tokenizer(), seed)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def edit_config(folder: Path, **values: object) -> None:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps({**config, **values}), encoding="utf-8")


def test_transformers_alone_loads_a_folder(tmp_path: Path):
    model, tokenizer = toy().eval(), character_tokenizer()
    save_model(model, tokenizer, tmp_path)
    again, words = AutoModelForCausalLM.from_pretrained(tmp_path), AutoTokenizer.from_pretrained(tmp_path)
    ids = torch.tensor([tokenizer("12+34=")["input_ids"]])
    assert words("12+34=")["input_ids"] == ids[0].tolist()
    assert words.decode(ids[0], skip_special_tokens=True) == "12+34="
    assert torch.equal(again(ids).logits, model(ids).logits)
    settings = again.generation_config
    assert (settings.bos_token_id, settings.eos_token_id, settings.pad_token_id) == (1, 2, 0)
    assert settings.do_sample is None
    assert settings.temperature is None


def test_equal_models_give_equal_bytes_and_a_loaded_folder_saves_the_same(tmp_path: Path):
    for name in ("one", "two"):
        save_model(toy(), character_tokenizer(), tmp_path / name)
    save_model(load_model(tmp_path / "one"), load_tokenizer(tmp_path / "one"), tmp_path / "third")
    save_model(load_model(tmp_path / "third"), load_tokenizer(tmp_path / "third"), tmp_path / "fourth")
    one, two, third, fourth = (contents(tmp_path / name) for name in ("one", "two", "third", "fourth"))
    assert one == two
    assert third == fourth
    assert {name for name in one if one[name] != third[name]} <= {"tokenizer_config.json"}
    assert (
        one.keys()
        == third.keys()
        == {
            "config.json",
            "generation_config.json",
            "model.safetensors",
            "tokenizer.json",
            "tokenizer_config.json",
        }
    )
    assert not any(str(tmp_path).encode() in content for content in fourth.values())


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_saving_leaves_the_model_and_the_generators_alone(tmp_path: Path, dtype):
    model = toy()
    model.train()
    model.lm_head.weight.requires_grad_(False)
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    config, settings = model.config.to_dict(), model.generation_config.to_dict()
    random = torch.get_rng_state()
    save_model(model, character_tokenizer(), tmp_path, dtype)
    assert all(tensor.dtype == torch.float32 for tensor in model.state_dict().values())
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())
    assert model.config.to_dict() == config
    assert model.generation_config.to_dict() == settings
    assert model.training
    assert [name for name, weight in model.named_parameters() if not weight.requires_grad] == [
        "model.embed_tokens.weight"  # tied: the head's weight is the embedding's
    ]
    assert torch.equal(torch.get_rng_state(), random)


def test_bfloat16_on_disk_is_float32_in_memory(tmp_path: Path):
    model = toy()
    save_model(model, character_tokenizer(), tmp_path, "bfloat16")
    stored = load_file(tmp_path / "model.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {torch.bfloat16}
    assert AutoModelForCausalLM.from_pretrained(tmp_path).dtype == torch.bfloat16
    read = load_model(tmp_path).state_dict()
    for key, tensor in model.state_dict().items():
        assert read[key].dtype == torch.float32
        assert torch.equal(read[key], tensor.bfloat16().float())


@pytest.mark.parametrize("tied", [True, False])
def test_tied_weights_are_stored_once_and_stay_tied(tmp_path: Path, tied: bool):
    save_model(toy(tied), character_tokenizer(), tmp_path)
    stored = load_file(tmp_path / "model.safetensors")
    assert ("lm_head.weight" in stored) == (not tied)
    read = load_model(tmp_path).state_dict()
    assert (read["lm_head.weight"].data_ptr() == read["model.embed_tokens.weight"].data_ptr()) == tied


def test_further_ends_that_a_model_declares_are_kept(tmp_path: Path):
    for declared, kept in (([2, 7], [2, 7]), ([5, 7], 2), (7, 2)):
        model = toy()
        model.generation_config.eos_token_id = declared
        save_model(model, character_tokenizer(), tmp_path)
        assert AutoModelForCausalLM.from_pretrained(tmp_path).generation_config.eos_token_id == kept


def test_sampling_settings_from_elsewhere_are_dropped(tmp_path: Path):
    model = toy()
    model.generation_config.temperature = 0.6  # without do_sample, transformers refuses to save this
    save_model(model, character_tokenizer(), tmp_path)
    assert AutoModelForCausalLM.from_pretrained(tmp_path).generation_config.temperature is None


@pytest.mark.parametrize("content", [b"", b"not weights", None])
def test_broken_weights_are_named(toy_folder: Path, content: bytes | None):
    path = toy_folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100] if content is None else content)
    with pytest.raises(ValueError, match=r"toy/model.safetensors: broken, not a whole safetensors file \(.+\)"):
        load_model(toy_folder)


@pytest.mark.parametrize(
    ("values", "count", "name"),
    [
        ({"num_hidden_layers": 2}, 9, "model.layers.1.input_layernorm.weight"),
        ({"vocab_size": 50}, 1, "model.embed_tokens.weight"),
    ],
)
def test_weights_that_transformers_would_draw_at_random(toy_folder: Path, values, count: int, name: str):
    edit_config(toy_folder, **values)
    with pytest.raises(ValueError, match=f"toy: its model does not fit its config: {count} weights .* {name}"):
        load_model(toy_folder)


def test_folders_that_hold_no_model(tmp_path: Path, toy_folder: Path):
    with pytest.raises(ValueError, match="nowhere: there is no such folder"):
        load_model(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"empty: no model here \(no \*.safetensors file\)$"):
        load_model(tmp_path / "empty")
    (toy_folder / "config.json").write_text("{", encoding="utf-8")
    with pytest.raises(ValueError, match=r"toy: its model can't be loaded: .*not a valid JSON"):
        load_model(toy_folder)


def test_pickles_are_refused(toy_folder: Path):
    torch.save(load_file(toy_folder / "model.safetensors"), toy_folder / "pytorch_model.bin")
    (toy_folder / "model.safetensors").unlink()
    with pytest.raises(
        ValueError, match=r"no \*.safetensors file\); pytorch_model.bin is a pickle, which can run code"
    ):
        load_model(toy_folder)


def test_code_of_a_folder_is_not_run(toy_folder: Path):
    (toy_folder / "own.py").write_text("raise SystemExit('it was run')", encoding="utf-8")
    edit_config(toy_folder, model_type="own", auto_map={"AutoConfig": "own.C", "AutoModelForCausalLM": "own.M"})
    with pytest.raises(ValueError, match="toy: its model can't be loaded: it comes with code of its own, and thicket"):
        load_model(toy_folder)


def test_missing_tokenizer(toy_folder: Path):
    (toy_folder / "tokenizer.json").unlink()
    with pytest.raises(ValueError, match=r"toy: no tokenizer here \(no tokenizer.json, nor another"):
        load_tokenizer(toy_folder)


def test_weights_hash_of_known_content(tmp_path: Path):
    (tmp_path / "b.safetensors").write_bytes(b"two")
    (tmp_path / "a.safetensors").write_bytes(b"one")
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    # printf one | sha256sum and printf two | sha256sum, the 64 bytes of both hashed again
    assert weights_hash(tmp_path) == "11914c19a28a98c57d12f3cce6c32b7944784f4b4781a706c24eb1dc284e2856"
    (tmp_path / "config.json").write_text("{ }", encoding="utf-8")
    assert weights_hash(tmp_path) == "11914c19a28a98c57d12f3cce6c32b7944784f4b4781a706c24eb1dc284e2856"
    (tmp_path / "b.safetensors").write_bytes(b"twa")
    assert weights_hash(tmp_path) != "11914c19a28a98c57d12f3cce6c32b7944784f4b4781a706c24eb1dc284e2856"


def test_same_vocabulary(toy_folder: Path, tmp_path: Path):
    other = shutil.copytree(toy_folder, tmp_path / "other")
    check_same_vocabulary(toy_folder, other)
    words = load_tokenizer(other)
    words.add_tokens(["zebra"])
    words.save_pretrained(other)
    with pytest.raises(
        ValueError,
        match=r"other can't teach toy: their vocabularies differ \(44 and 45 tokens; 1 differ, for instance 'zebra'\)",
    ):
        check_same_vocabulary(toy_folder, other)
