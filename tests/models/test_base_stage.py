"""The stage *base* for models that exist already."""

import shutil
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from thicket.config.base import FolderBase, GgufBase
from thicket.config.run import Trainer
from thicket.config.stages import BaseStage
from thicket.models.folder import load_model, load_tokenizer
from thicket.stages.base import make_base
from thicket.stages.outcome import Places


def made(base: FolderBase | GgufBase, root: Path) -> Path:
    out = root / "out"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    places = Places(root=root, models=root / "models", data=root / "data", out=out, resume=root / "resume")
    make_base(BaseStage(name="taken", base=base, trainer=Trainer()), places)
    return out


def test_folder_becomes_a_base(toy_folder: Path, tmp_path: Path, capsys):
    out = made(FolderBase(type="folder", path="toy", context=64), tmp_path)
    assert (out / "model.safetensors").read_bytes() == (toy_folder / "model.safetensors").read_bytes()
    # 44·16 embeddings, 4·16² attention, 3·16·24 MLP, 3·16 norms
    assert "base taken: 2,928 parameters, saved in float32" in capsys.readouterr().out


def test_gguf_becomes_a_base(write_gguf, gguf_model, tmp_path: Path):
    write_gguf()
    out = made(GgufBase(type="gguf", file="toy.gguf", context=128), tmp_path)
    read = AutoModelForCausalLM.from_pretrained(out).state_dict()
    assert all(torch.equal(tensor, read[key]) for key, tensor in gguf_model.state_dict().items())
    assert AutoTokenizer.from_pretrained(out).tokenize("hi\n\n12") == ["hi", "ĊĊ", "1", "2"]


def test_bfloat16_halves_the_file(toy_folder: Path, tmp_path: Path):
    out = made(FolderBase(type="folder", path="toy", context=64, dtype="bfloat16"), tmp_path)
    assert AutoModelForCausalLM.from_pretrained(out).dtype == torch.bfloat16
    header = 8 + int.from_bytes((out / "model.safetensors").read_bytes()[:8], "little")
    assert (out / "model.safetensors").stat().st_size - header == 2 * 2928


def test_rows_beyond_the_vocabulary_stay(tmp_path: Path, toy_folder: Path):
    model = load_model(toy_folder)
    rows = model.resize_token_embeddings(64).weight
    model.save_pretrained(toy_folder)
    out = made(FolderBase(type="folder", path="toy", context=64), tmp_path)
    assert rows.shape == (64, 16)
    assert torch.equal(load_model(out).state_dict()["model.embed_tokens.weight"], rows)
    assert len(load_tokenizer(out)) == 44


def test_context_beyond_the_model(toy_folder: Path, tmp_path: Path):
    with pytest.raises(ValueError, match=r"base taken: base.context is 65, but the model was made for 64 tokens"):
        made(FolderBase(type="folder", path="toy", context=65), tmp_path)
    made(FolderBase(type="folder", path="toy", context=32), tmp_path)


def test_tokens_without_an_embedding(toy_folder: Path, tmp_path: Path):
    words = load_tokenizer(toy_folder)
    words.add_tokens(["zebra"])
    words.save_pretrained(toy_folder)
    with pytest.raises(ValueError, match="base taken: the tokenizer knows 45 tokens, but the model embeds only 44"):
        made(FolderBase(type="folder", path="toy", context=64), tmp_path)


def test_tokenizer_without_an_end(toy_folder: Path, tmp_path: Path):
    words = load_tokenizer(toy_folder)
    words.eos_token = None
    words.save_pretrained(toy_folder)
    with pytest.raises(ValueError, match="base taken: the tokenizer has no end-of-sequence token"):
        made(FolderBase(type="folder", path="toy", context=64), tmp_path)
