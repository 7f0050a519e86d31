"""Models from people one doesn't know: nothing of theirs is run, and nothing beyond their folder is read."""

import builtins
import json
import resource
import shutil
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from thicket.config.base import GgufBase
from thicket.domains.item import Item
from thicket.models.folder import active_parameter_count, load_model, load_tokenizer, model_config
from thicket.models.gguf import load_gguf
from thicket.sampling.prompts import encode_prompts

RUNS = "raise SystemExit('it was run')"
"""A module that tells that it was imported."""


def write(folder: Path, name: str, value: object) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")


def edit(folder: Path, name: str, **values: object) -> None:
    write(folder, name, {**json.loads((folder / name).read_text(encoding="utf-8")), **values})


def loaded(folder: Path) -> tuple[Any, Any]:
    return load_model(folder), load_tokenizer(folder)


# -- code --------------------------------------------------------------------------------------------------------------


def test_nobody_is_asked_whether_code_may_run(toy_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """transformers would ask at the terminal, where nothing says that it may not."""
    monkeypatch.setattr(builtins, "input", lambda *_: "y")
    write(toy_folder, "own.py", RUNS)
    edit(toy_folder, "config.json", model_type="own", auto_map={"AutoConfig": "own.C", "AutoModelForCausalLM": "own.M"})
    for load in (load_model, model_config, active_parameter_count):
        with pytest.raises(
            ValueError, match="can't be loaded: it comes with code of its own, and thicket runs no code"
        ):
            load(toy_folder)


@pytest.mark.parametrize("way", ["auto_map", "tokenizer_class", "custom_generate"])
def test_code_beside_a_known_model_is_left_alone(toy_folder: Path, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builtins, "input", lambda *_: "y")
    for module in ("own.py", "custom_generate/generate.py"):
        write(toy_folder, module, RUNS)
    if way == "auto_map":
        edit(toy_folder, "config.json", auto_map={"AutoConfig": "own.C", "AutoModelForCausalLM": "own.M"})
    elif way == "tokenizer_class":
        edit(toy_folder, "tokenizer_config.json", auto_map={"AutoTokenizer": ["own.T", "own.T"]})
    load_model(toy_folder)
    assert load_tokenizer(toy_folder)("a")["input_ids"] == [1, 18]


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ cycler.__init__.__globals__['os'].system('touch made') }}",
        "{{ messages.append(1) }}",
        "{% include '/etc/passwd' %}",
        "{{ raise_exception('no') }}",
        "{{ range(10**9) | list }}",
        "{% for",
    ],
)
def test_a_chat_template_has_a_sandbox(toy_folder: Path, template: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(toy_folder)
    tokenizer = load_tokenizer(toy_folder)
    tokenizer.chat_template = template
    with pytest.raises(ValueError, match=r"the model's chat template fails: \w+Error"):
        encode_prompts(tokenizer, [Item("0" * 16, [{"role": "user", "content": "hi"}], "", 1)], 50, "sort")
    assert not Path("made").exists()


# -- files -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["../stranger.safetensors", "/tmp/x.safetensors", "pytorch_model.bin", 5])
def test_an_index_names_safetensors_of_the_folder_alone(toy_folder: Path, name: object) -> None:
    weights = load_file(toy_folder / "model.safetensors")
    save_file(weights, toy_folder.parent / "stranger.safetensors", {"format": "pt"})
    torch.save(weights, toy_folder / "pytorch_model.bin")
    write(toy_folder, "model.safetensors.index.json", {"metadata": {}, "weight_map": dict.fromkeys(weights, name)})
    with pytest.raises(
        ValueError, match=r"index\.json: names the file '.*', which is not a \*\.safetensors file of th"
    ):
        load_model(toy_folder)


@pytest.mark.parametrize("text", ["{", "[]", "5", '{"weight_map": ["a"]}', "[" * 100_000])
def test_what_is_no_index_is_named(toy_folder: Path, text: str) -> None:
    write(toy_folder, "model.safetensors.index.json", text)
    with pytest.raises(ValueError, match=r"index\.json: not an index of weights"):
        load_model(toy_folder)


def test_adapters_that_lead_to_another_model_are_refused(toy_folder: Path, tmp_path: Path) -> None:
    other = shutil.copytree(toy_folder, tmp_path / "other")
    write(toy_folder, "adapter_config.json", {"base_model_name_or_path": str(other), "peft_type": "LORA"})
    (toy_folder / "config.json").unlink()
    with pytest.raises(ValueError, match=r"toy: adapters \(adapter_config\.json\), which go over a model that this"):
        load_model(toy_folder)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("config.json", '{"model_type": ["llama"]}'),
        ("config.json", "[" * 100_000),
        ("config.json", '{"model_type": "llama", "num_attention_heads": 0}'),
        ("config.json", '{"model_type": "llama", "hidden_size": "wide"}'),
        ("tokenizer.json", "{}"),
        ("tokenizer.json", "\0" * 1000),
        ("tokenizer_config.json", "[]"),
        ("tokenizer_config.json", '{"eos_token": {"content": 5, "__type": "AddedToken"}}'),
    ],
)
def test_files_of_another_form_are_one_message(toy_folder: Path, name: str, text: str) -> None:
    write(toy_folder, name, text)
    with pytest.raises(ValueError, match=r"toy: its (model|tokenizer) can't be loaded: .{5,600}$"):
        loaded(toy_folder)


# -- GGUF --------------------------------------------------------------------------------------------------------------


def text(value: bytes) -> bytes:
    return struct.pack("<Q", len(value)) + value


def head(tensors: int, keys: int) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", 3, tensors, keys)


KEY, STRING, ARRAY, UINT8 = text(b"general.architecture"), 8, 9, 0
MANY = 1 << 60
MALFORMED = {
    "many-keys": head(0, MANY),
    "many-tensors": head(MANY, 0),
    "long-array": head(0, 1) + KEY + struct.pack("<IIQ", ARRAY, UINT8, MANY),
    "long-text": head(0, 1) + KEY + struct.pack("<IQ", STRING, MANY) + b"llama",
    "array-of-arrays": head(0, 1) + KEY + struct.pack("<I", ARRAY) + struct.pack("<IQ", ARRAY, 1) * 5000,
    "no-such-type": head(0, 1) + KEY + struct.pack("<I", 99),
    "twice": head(0, 2) + (KEY + struct.pack("<I", STRING) + text(b"llama")) * 2,
    "no-text": head(0, 1) + text(b"\xff\xfe") + struct.pack("<I", STRING) + text(b"x"),
    "large-tensor": head(1, 0) + text(b"x") + struct.pack("<IQQIQ", 2, 1 << 30, 1 << 30, 0, 0) + bytes(64),
    "no-pre": head(0, 1) + text(b"tokenizer.ggml.pre") + struct.pack("<II", 4, 7),
}


@pytest.mark.parametrize("content", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_gguf_file_ends_at_once(tmp_path: Path, content: bytes) -> None:
    """gguf's own reader takes 4 GB and more than a minute for an array of a length of 2^22 that isn't there."""
    (tmp_path / "bad.gguf").write_bytes(content)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match=r"bad.gguf: (not a whole GGUF file|its tokenizer can't be loaded)"):
        load_gguf(GgufBase(type="gguf", file="bad.gguf", context=64), tmp_path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # KiB


def test_what_lies_beside_a_gguf_file_is_not_read(write_gguf: Any, gguf_model: Any) -> None:
    path = write_gguf()
    for name in ("adapter_config.json", "config.json", "generation_config.json", "tokenizer.json"):
        write(path.parent, name, "{ no JSON")
    model, _ = load_gguf(GgufBase(type="gguf", file=path.name, context=64), path.parent)
    assert all(torch.equal(model.state_dict()[key], written) for key, written in gguf_model.state_dict().items())
