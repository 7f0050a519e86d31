"""Model folders: `AutoModelForCausalLM.from_pretrained` and `AutoTokenizer` load them with nothing else at hand."""

import hashlib
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig, PreTrainedModel
from transformers.utils import logging

from thicket import disk, ranks
from thicket.config.answering import FILE
from thicket.models.answering import check_own_weights
from thicket.models.files import WEIGHTS, no_tokenizer, no_weights
from thicket.models.size import active_share, is_expert
from thicket.sampling.prompts import Tokenizer

logging.disable_progress_bar()  # Bars of a blink's length for every file; stages show their own progress.

RECORD = "provenance.json"
"""In the folder of a model that the pipeline made: how, and the hash of its weights."""
INDEX = "*.index.json"
"""Which file holds which weight, where there are several."""
REASON_CHARACTERS = 500
"""Longest reason of transformers' in a message; some hold a whole file."""


def load_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer of a model folder. Raises: ValueError where there is none that can be loaded."""
    check_own_weights(folder)
    if folder.is_dir() and (fault := no_tokenizer(folder)):
        raise ValueError(f"{folder}: {fault}")
    with explained(f"{folder}: its tokenizer"):
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        tokenizer("a")  # Some of what can be wrong with its files shows where it is used.
    return tokenizer


def load_model(folder: Path) -> PreTrainedModel:
    """The model of a folder, in float32; only safetensors are read and no code of the folder is run.

    Raises: ValueError where the folder is not there, holds no safetensors or a broken one, or not every weight.
    """
    check_weights(folder)
    with explained(f"{folder}: its model"):
        model, found = AutoModelForCausalLM.from_pretrained(  # pyright: ignore[reportGeneralTypeIssues]
            folder,
            dtype=torch.float32,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    check_complete(found, f"{folder}: its model")
    return model


def check_complete(found: dict[str, Any], shown: str) -> None:
    """Raises: ValueError where transformers' loading information names weights that the files do not give.

    transformers would draw such weights at random and go on.
    """
    lacking = sorted([*found["missing_keys"], *(key for key, *_ in found["mismatched_keys"])])
    if lacking:
        raise ValueError(
            f"{shown} does not fit its config: {len(lacking)} weights are missing or of another shape, "
            f"for instance {lacking[0]}"
        )


@contextmanager
def explained(shown: str) -> Iterator[None]:
    """Turns what transformers raises over files that it can't load into a ValueError that begins with `shown`.

    It checks little of what it reads, so a file from elsewhere can make it raise anything; tokenizers panics in Rust.
    """
    try:
        yield
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        reason = " ".join(str(error).split())[:REASON_CHARACTERS]
        if "trust_remote_code" in reason:
            reason = "it comes with code of its own, and thicket runs no code that comes with a model"
        elif not isinstance(error, OSError | ValueError | ImportError):
            reason = f"{type(error).__name__}: {reason}"
        raise ValueError(f"{shown} can't be loaded: {reason}") from error


def check_weights(folder: Path) -> None:
    """Raises: ValueError where a folder holds no safetensors, or one that breaks off or is something else."""
    if not folder.is_dir():
        raise ValueError(f"{folder}: there is no such folder")
    check_own_weights(folder)
    if fault := no_weights(folder):
        raise ValueError(f"{folder}: {fault}")
    files = sorted(folder.glob(WEIGHTS))
    for path in sorted(folder.glob(INDEX)):
        _check_index(path, {file.name for file in files})
    for path in files:
        try:
            with safe_open(path, framework="pt"):
                pass  # The header is checked against the file's length.
        except SafetensorError as error:
            raise ValueError(f"{path}: broken, not a whole safetensors file ({error})") from error
    _check_recorded(folder)


def _check_recorded(folder: Path) -> None:
    """Raises: ValueError where a model of the pipeline has other weights than its provenance says.

    A file's head does not tell of a flipped bit further on, nor does DVC, which goes by size and time.
    """
    try:
        recorded = json.loads((folder / RECORD).read_text(encoding="utf-8"))["weights"]
    except (OSError, ValueError, KeyError, TypeError):
        return  # From elsewhere, where nobody has recorded them.
    if recorded != weights_hash(folder):
        raise ValueError(
            f"{folder}: its weights are not those that its {RECORD} names: a file is damaged, or was put there by "
            f"hand. Delete the folder; `dvc checkout {folder}` or `dvc repro` brings the model back"
        )


def _check_index(path: Path, held: set[str]) -> None:
    """Raises: ValueError where an index is none, or names a file that is not one of the folder's safetensors.

    Such a file would be read, and `weights_hash`, which says what a model is made from, would not know it.
    """
    try:
        named = set(json.loads(path.read_text(encoding="utf-8"))["weight_map"].values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path}: not an index of weights ({type(error).__name__}: {error})") from None
    if strangers := sorted(map(str, named - held)):
        raise ValueError(f"{path}: names the file {strangers[0]!r:.120}, which is not a {WEIGHTS} file of this folder")


def model_config(folder: Path) -> Any:
    """The config of a model folder. Raises: ValueError where it can't be read, or wants code of its own to be run."""
    with explained(f"{folder}: its config"):
        return AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)


def save_model(
    model: PreTrainedModel, tokenizer: Tokenizer, folder: Path, dtype: Literal["float32", "bfloat16"] = "float32"
) -> None:
    """Writes weights as safetensors, the tokenizer and the generation config; equal models give equal bytes.

    The model stays as it is, in its own type and on its own device. Of several processes the first one writes.
    """
    if not ranks.first():
        return
    written = _twin(model, getattr(torch, dtype))
    _check_finite(written, folder)
    # Only the ids: sampling settings that came along from elsewhere are not those that thicket trains and scores with.
    written.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id, eos_token_id=_ends(model, tokenizer), pad_token_id=tokenizer.pad_token_id
    )
    with disk.explained(folder, SafetensorError):
        written.save_pretrained(folder)
    with disk.explained(folder, Exception):  # The tokenizers' library has no class of its own for it.
        tokenizer.save_pretrained(folder)


def _check_finite(model: PreTrainedModel, folder: Path) -> None:
    """Raises: ValueError where a weight is no number: such a model answers nothing, and its scores would look real."""
    for name, tensor in model.state_dict().items():
        if not torch.isfinite(tensor).all():
            raise ValueError(f"{folder}: not written: the weight {name} has values that are NaN or infinite")


def _twin(model: PreTrainedModel, dtype: torch.dtype) -> PreTrainedModel:
    """The same model in a type, on the CPU; weights that are there in that type already are shared."""
    state = {name: tensor.detach().to("cpu", dtype) for name, tensor in model.state_dict().items()}
    # Through transformers, not the constructor, which would draw weights from the global generator to overwrite them.
    return type(model).from_pretrained(None, config=deepcopy(model.config), state_dict=state, dtype=dtype)


def with_weights(folder: Path, state: dict[str, Tensor]) -> PreTrainedModel:
    """The model of a folder with other weights, named as in its files and all there, in float32."""
    model = load_model(folder)
    # By way of transformers, which knows what of a file's names and shapes the model has otherwise.
    other = type(model).from_pretrained(None, config=deepcopy(model.config), state_dict=state, dtype=torch.float32)
    other.generation_config = model.generation_config
    return other.eval()


def _ends(model: PreTrainedModel, tokenizer: Tokenizer) -> int | list[int]:
    """The tokenizer's end of sequence; all ends that the model declares, where this is one of them."""
    declared = model.generation_config.eos_token_id if model.generation_config else None
    if isinstance(declared, list) and tokenizer.eos_token_id in declared:
        return declared
    return tokenizer.eos_token_id


def weights_hash(folder: Path) -> str:
    """SHA-256 over the weight files of a folder, in the order of their names.

    Without weights: over its way to answer with those of another model, which names their hash.
    """
    digest = hashlib.sha256()
    for path in sorted(folder.glob(WEIGHTS)) or [folder / FILE]:
        found = path.stat()
        digest.update(_file_hash(path, found.st_size, found.st_mtime_ns, found.st_ino))
    return digest.hexdigest()


@lru_cache(maxsize=256)
def _file_hash(path: Path, *stamp: int) -> bytes:
    """SHA-256 of a file, which a stage may ask for several times; `stamp` tells when it is another."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def active_parameter_count(folder: Path) -> int:
    """Weights that a token meets, from the heads of a folder's files; tied ones, which are saved once, count once."""
    share, count = active_share(model_config(folder)), 0.0
    for path in sorted(folder.glob(WEIGHTS)):
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118
                count += math.prod(file.get_slice(name).get_shape()) * (share if is_expert(name) else 1.0)
    return round(count)


def check_same_vocabulary(student: Path, teacher: Path) -> None:
    """Raises: ValueError where two folders' tokenizers give tokens different ids."""
    if difference := vocabulary_difference(student, teacher):
        raise ValueError(f"{teacher.name} can't teach {student.name}: {difference}")


def vocabulary_difference(one: Path, another: Path) -> str:
    """In which tokens the tokenizers of two folders differ, for a message; empty: in none."""
    own, other = load_tokenizer(one).get_vocab(), load_tokenizer(another).get_vocab()
    differing = sorted(token for token in {*own, *other} if own.get(token) != other.get(token))
    if not differing:
        return ""
    counts = f"{len(own)} and {len(other)} tokens; {len(differing)} differ, for instance {differing[0]!r}"
    return f"their vocabularies differ ({counts})"
