"""Properties of tokenizers and of models' files: see `properties`."""

import json
import shutil
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from properties import RESPONSES, TEXTS, VALUES, examined, folder, mutated_value, printable
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from thicket.config.base import Architecture, GgufBase
from thicket.domains.item import Item
from thicket.models.characters import CHARACTERS, character_tokenizer
from thicket.models.folder import load_model, load_tokenizer, save_model
from thicket.models.gguf import load_gguf
from thicket.models.scratch import fresh_model
from thicket.reporting.page import escaped
from thicket.sampling.prompts import encode_prompt, encode_prompts, stop_ids, texts_of


@cache
def byte_tokenizer() -> Any:
    """A tokenizer of bytes with merges, special tokens and a chat template, as those of the hub's models are."""
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokens = {text: place for place, text in enumerate(["<|end|>", "<|start|>", *sorted(alphabet), "ab", "Ġa"])}
    made = Tokenizer(models.BPE(tokens, [("a", "b"), ("Ġ", "a")]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # type: ignore[assignment]
    made.decoder = decoders.ByteLevel()  # type: ignore[assignment]
    whole = PreTrainedTokenizerFast(tokenizer_object=made, eos_token="<|end|>", additional_special_tokens=["<|start|>"])
    whole.chat_template = "{% for m in messages %}<|start|>{{ m.role }}\n{{ m.content }}<|end|>\n{% endfor %}"
    return whole


SPECIAL = st.sampled_from(
    ["<|end|>", "<|start|>", "<s>", "</s>", "<unk>", "<pad>", " ", "\n" * 500, "a" * 5000, "\u200d"]
)
PROMPTS = st.lists(SPECIAL | TEXTS | RESPONSES, max_size=5).map(lambda parts: "".join(parts).replace("\ud800", "?"))
"""Without half signs, which neither rows nor configs let through."""


def a_prompt_by_way_of_tokens(kind: str, chat: bool, text: str) -> str:
    tokenizer = byte_tokenizer() if kind == "bytes" else character_tokenizer()
    item = Item("0" * 16, [{"role": "user", "content": text}] if chat and kind == "bytes" else text, "", 1)
    try:
        (ids,) = encode_prompts(tokenizer, [item], 10**6, "sort")
    except ValueError as error:
        assert "prompt" in str(error) or "chat template" in str(error)
        return "refused"
    assert ids == encode_prompt(tokenizer, item)
    (again,) = texts_of([ids], tokenizer, None)
    if kind == "characters":
        assert set(again) <= set(CHARACTERS)
    elif not chat and "<|" not in text:
        assert again == text
    cut = texts_of([ids], tokenizer, "\n")[0]
    assert "\n" not in cut
    for shown in (escaped(again), escaped(printable(again))):
        assert "<" not in shown
        shown.encode()
    return "sound"


examined(a_prompt_by_way_of_tokens, st.sampled_from(["bytes", "characters"]), st.booleans(), PROMPTS)


def tokens_that_no_text_has(ids: list[int], stop: str) -> str:
    """Whatever a model samples is text, cut at the stop."""
    tokenizer = byte_tokenizer()
    (text,) = texts_of([ids], tokenizer, stop)
    text.encode()
    assert stop not in text
    assert tokenizer.eos_token_id in stop_ids(tokenizer, stop)
    return "text" if text else "nothing"


examined(
    tokens_that_no_text_has, st.lists(st.integers(0, 259), max_size=40), st.sampled_from(["\n", "a", " ", "é", "."])
)


@cache
def model_files() -> dict[str, bytes]:
    tokenizer = character_tokenizer()
    shape = Architecture(layers=1, width=8, heads=2, mlp_width=8, context=16)
    save_model(fresh_model(shape, tokenizer, 0), tokenizer, folder() / "sound")
    return {path.name: path.read_bytes() for path in sorted((folder() / "sound").iterdir())}


def loaded(model: Path) -> str:
    try:
        load_model(model)
        load_tokenizer(model)("12+30=")
    except ValueError as error:
        assert str(error).startswith(str(model)), error
        assert len(str(error)) < 2000
        return "refused"
    return "sound"


SMALL = VALUES.filter(lambda value: not isinstance(value, int | float) or abs(value) < 100)
"""A large number of layers or of dimensions is a large model."""
JSONS = ["config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"]


def a_changed_file_of_a_model(name: str, at: int, how: str, key: str, value: Any) -> str:
    root = folder() / "model"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    for known, content in model_files().items():
        (root / known).write_bytes(content)
    changed = mutated_value(json.loads(model_files()[name]), at, how, key, value)
    (root / name).write_text(json.dumps(changed), encoding="utf-8")
    return loaded(root)


examined(
    a_changed_file_of_a_model,
    st.sampled_from(JSONS),
    st.integers(0, 300),
    st.sampled_from(["set", "delete", "rename", "add"]),
    TEXTS | st.sampled_from(["auto_map", "quantization_config", "chat_template", "rope_parameters", "type", "vocab"]),
    SMALL,
)


def changed_bytes_of_weights(cuts: list[tuple[int, bytes]], length: int) -> str:
    root = folder() / "weights"
    root.mkdir(exist_ok=True)
    for known, content in model_files().items():
        (root / known).write_bytes(content)
    content = bytearray(model_files()["model.safetensors"])
    for at, put in cuts:
        content[at % len(content) : at % len(content) + len(put)] = put
    (root / "model.safetensors").write_bytes(content[: len(content) - length])
    return loaded(root)


CUTS = st.lists(st.tuples(st.integers(0, 2500), st.binary(min_size=1, max_size=8)), max_size=4)
examined(changed_bytes_of_weights, CUTS, st.sampled_from([0, 0, 0, 1, 100]))


@cache
def gguf_file() -> bytes:
    from gguf import GGUFWriter

    path = folder() / "toy.gguf"
    writer = GGUFWriter(path, "llama")
    writer.add_name("toy")
    writer.add_block_count(1)
    writer.add_context_length(16)
    writer.add_embedding_length(8)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(["a", "b", "ab"])
    writer.add_token_merges(["a b"])
    writer.add_eos_token_id(1)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path.read_bytes()


def a_changed_gguf_file(cuts: list[tuple[int, bytes]], length: int) -> str:
    content = bytearray(gguf_file())
    for at, put in cuts:
        content[at % len(content) : at % len(content) + len(put)] = put
    (folder() / "changed.gguf").write_bytes(content[: len(content) - length])
    try:
        load_gguf(GgufBase(type="gguf", file="changed.gguf", context=16), folder())
    except ValueError as error:
        assert str(error).startswith("changed.gguf: "), error
        return "refused"
    return "sound"


LENGTHS = st.sampled_from([b"\xff" * 8, b"\xff\xff\xff\x7f\0\0\0\0", b"\0" * 8, b"\t\0\0\0", b"\x08\0\0\0"])
examined(
    a_changed_gguf_file, st.lists(st.tuples(st.integers(0, 700), LENGTHS), max_size=3), st.sampled_from([0, 0, 1, 50])
)
