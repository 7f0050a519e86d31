"""Base models that were trained elsewhere: a folder, or a repository of the Hugging Face hub."""

from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
from transformers import PreTrainedModel

from thicket.config.base import FolderBase, HubBase
from thicket.hub import answers
from thicket.models.folder import explained, load_model, load_tokenizer
from thicket.sampling.prompts import Tokenizer

FILES = ("*.json", "*.safetensors", "*.txt", "*.model", "*.jinja")
"""What is fetched of a repository: no code and no pickles."""
OTHER_WEIGHTS = ("*/*", "consolidated*.safetensors")
"""What is left there: folders with the weights in other forms, and Mistral's own form of them."""


def fetched(source: str) -> Path:
    """The folder of a model: the source itself where it is one, else what the hub has under this id.

    `id@revision` names a commit, a branch or a tag; without one it is the main branch.
    Raises: ValueError where there is no such folder, and the hub has none or can't be reached.
    """
    if Path(source).is_dir():
        return Path(source)
    name, _, revision = source.partition("@")
    with explained(f"{source}: no folder here, and the hub's model"):
        # Of a hub that stays silent, what an earlier run has fetched.
        cached: dict[str, Any] = {} if answers(name, "model", revision or None) else {"local_files_only": True}
        kept: dict[str, Any] = {"allow_patterns": list(FILES), "ignore_patterns": list(OTHER_WEIGHTS)}
        return Path(snapshot_download(name, revision=revision or None, **kept, **cached))


def load_elsewhere(base: FolderBase | HubBase, root: Path) -> tuple[PreTrainedModel, Tokenizer]:
    """The model, in float32, and its tokenizer; rows of its embedding beyond the tokenizer's vocabulary stay.

    Only safetensors are read, and no code that comes with a model is run.
    Raises: ValueError where it is not there, can't be reached, or is not whole.
    """
    folder = root / base.path if isinstance(base, FolderBase) else fetched(f"{base.id}@{base.revision}")
    return load_model(folder), load_tokenizer(folder)
