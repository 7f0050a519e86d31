"""Model folders: `AutoModelForCausalLM.from_pretrained` and `AutoTokenizer` load them with nothing else at hand."""

import hashlib
from pathlib import Path
from typing import Literal

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel
from transformers.utils import logging

from thicket.sampling.prompts import Tokenizer

logging.disable_progress_bar()  # Bars of a blink's length for every file; stages show their own progress.

WEIGHTS = "*.safetensors"


def load_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer of a model folder."""
    return AutoTokenizer.from_pretrained(folder, local_files_only=True)


def load_model(folder: Path, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    """The model of a folder, from safetensors only (a pickle could run code).

    Raises: ValueError where the folder is not there or holds no safetensors.
    """
    if not any(folder.glob(WEIGHTS)):
        raise ValueError(f"{folder}: no model here (no {WEIGHTS} file)")
    return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, local_files_only=True, use_safetensors=True)


def save_model(
    model: PreTrainedModel, tokenizer: Tokenizer, folder: Path, dtype: Literal["float32", "bfloat16"] = "float32"
) -> None:
    """Writes weights as safetensors, the tokenizer and the generation config."""
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.to(getattr(torch, dtype)).save_pretrained(folder)
    model.generation_config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def weights_hash(folder: Path) -> str:
    """SHA-256 over the weight files of a folder, in the order of their names."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob(WEIGHTS)):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def check_same_vocabulary(student: Path, teacher: Path) -> None:
    """Raises: ValueError where two folders' tokenizers give tokens different ids."""
    own, other = load_tokenizer(student).get_vocab(), load_tokenizer(teacher).get_vocab()
    if own != other:
        differing = sorted(token for token in {*own, *other} if own.get(token) != other.get(token))
        raise ValueError(
            f"{teacher.name} can't teach {student.name}: their vocabularies differ "
            f"({len(own)} and {len(other)} tokens; {len(differing)} differ, for instance {differing[0]!r})"
        )
