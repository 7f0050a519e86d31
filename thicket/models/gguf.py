"""Base models out of GGUF files (llama.cpp's format), dequantised to float32."""

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from tokenizers import pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig, PreTrainedModel

from thicket.config.base import GgufBase
from thicket.models.folder import check_complete, explained
from thicket.sampling.prompts import Tokenizer

READERS = ("gguf", "accelerate")
"""Packages that transformers needs to read a GGUF file."""
DIGITS_FIRST = frozenset({"codeshell", "command-r", "exaone", "minerva-7b", "refact", "smollm", "starcoder"})
"""Values of `tokenizer.ggml.pre` for which llama.cpp cuts out every digit before it splits the rest as GPT-2 does
(llama-vocab.cpp); transformers 5.23 does the second alone, which differs where white space comes before a digit."""
LISTED = 8
"""Files of a package that an error names."""


def load_gguf(base: GgufBase, root: Path) -> tuple[PreTrainedModel, Tokenizer]:
    """The model of a GGUF file, in float32, and its tokenizer.

    Raises: ValueError where the file or a package is missing, or the file is not what the config or the format says.
    """
    missing = [name for name in READERS if find_spec(name) is None]
    if missing:
        raise ValueError(f"reading a GGUF file needs the package {missing[0]}: pip install gguf accelerate")
    with _one_file(pieces(base, root)) as path:
        _check_content(path, base)
        pre_tokenizer = _pre_tokenizer(path, base.file)
        with explained(f"{base.file}: its tokenizer"):
            tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name, trust_remote_code=False)
        with explained(f"{base.file}: its model"):
            model, found = AutoModelForCausalLM.from_pretrained(  # pyright: ignore[reportGeneralTypeIssues]
                path.parent,
                gguf_file=path.name,
                dtype=torch.float32,
                trust_remote_code=False,
                quantization_config=GgufConfig(dequantize=True),  # else transformers refuses to save or cast it
                output_loading_info=True,
            )
    check_complete(found, f"{base.file}: its model")
    if pre_tokenizer in DIGITS_FIRST:
        _cut_digits_first(tokenizer)
    return model, tokenizer


def pieces(base: GgufBase, root: Path) -> list[Path]:
    """The files that make up the model's file, in order; packages are looked up and not imported.

    Raises: ValueError where a package is not installed, or does not hold just one file of that name.
    """
    if base.package is None:
        path = root / base.file
        if not path.is_file():
            raise ValueError(f"{path}: there is no such file (base.file is relative to the project's root)")
        return [path]
    return [_in_package(name, base) for name in base.package]


def _in_package(name: str, base: GgufBase) -> Path:
    spec = find_spec(name)
    if spec is None:
        hint = f": {base.install}" if base.install else ""
        raise ValueError(f"the Python package {name}, which holds the model, is not installed{hint}")
    folders = [Path(folder) for folder in spec.submodule_search_locations or []]
    found = sorted(path for folder in folders for path in folder.glob(base.file))
    if len(found) == 1:
        return found[0]
    held = found or [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]
    names = ", ".join(path.name for path in held[:LISTED]) + (", …" if len(held) > LISTED else "")
    wrong = f"{len(found)} files match" if found else "no file matches"
    raise ValueError(f"the Python package {name}: {wrong} base.file, {base.file!r}; it holds: {names or 'nothing'}")


@contextmanager
def _one_file(paths: list[Path]) -> Iterator[Path]:
    """The one file, or several joined, in a folder of its own: transformers reads what else lies beside a file."""
    with tempfile.TemporaryDirectory() as folder:
        joined = Path(folder) / "whole.gguf"
        if len(paths) == 1:
            joined.symlink_to(paths[0].absolute())
            yield joined
            return
        with joined.open("wb") as out:
            for path in paths:
                out.write(path.read_bytes())
        yield joined


def _check_content(path: Path, base: GgufBase) -> None:
    """Raises: ValueError where the file's hash is not the config's."""
    if base.sha256 is None:
        return
    with path.open("rb") as file:
        own = hashlib.file_digest(file, "sha256").hexdigest()
    if own != base.sha256:
        raise ValueError(f"{base.file}: not the file that base.sha256 names: its SHA-256 is {own}, not {base.sha256}")


def _pre_tokenizer(path: Path, shown: str) -> str | None:
    """What the file calls its pre-tokenizer. Raises: ValueError where it is not a whole GGUF file."""
    try:
        field = _bounded(path).get_field("tokenizer.ggml.pre")
        pre_tokenizer = field.contents() if field else None
    except Exception as error:  # The reader trusts what it reads: it raises whatever comes of it.
        raise ValueError(f"{shown}: not a whole GGUF file ({type(error).__name__}: {error})") from error
    return pre_tokenizer if isinstance(pre_tokenizer, str) else None


def _bounded(path: Path) -> Any:
    """A reader that stops where the file does: gguf's goes on reading nothing, as often as a count in the file says."""
    from gguf import GGUFReader

    class Bounded(GGUFReader):
        def _get(self, offset: int, dtype: Any, count: int = 1, *rest: Any, **named: Any) -> Any:
            values = super()._get(offset, dtype, count, *rest, **named)
            if len(values) < count:
                raise ValueError(f"it ends before byte {offset + count * values.itemsize}")
            return values

    return Bounded(path)


def _cut_digits_first(tokenizer: Tokenizer) -> None:
    backend = tokenizer.backend_tokenizer
    digits = pre_tokenizers.Digits(individual_digits=True)
    backend.pre_tokenizer = pre_tokenizers.Sequence([digits, backend.pre_tokenizer])
