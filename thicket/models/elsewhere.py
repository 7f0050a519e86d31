"""Base models that were trained elsewhere: a folder, or a repository of the Hugging Face hub."""

from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
from transformers import AutoTokenizer, PreTrainedModel

from thicket.config.base import FolderBase, HubBase
from thicket.hub import answers
from thicket.models.folder import causal_model, explained, load_model, load_tokenizer
from thicket.sampling.prompts import Tokenizer

FILES = ("*.json", "*.safetensors", "*.txt", "*.model", "*.jinja")
"""What is fetched of a repository: no code and no pickles."""


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
        return Path(snapshot_download(name, revision=revision or None, allow_patterns=list(FILES), **cached))


def load_elsewhere(base: FolderBase | HubBase, root: Path) -> tuple[PreTrainedModel, Tokenizer]:
    """The model, in float32, and its tokenizer; rows of its embedding beyond the tokenizer's vocabulary stay.

    Only safetensors are read, and no code that comes with a model is run.
    Raises: ValueError where it is not there, can't be reached, or is not whole.
    """
    if isinstance(base, FolderBase):
        folder = root / base.path
        return load_model(folder), load_tokenizer(folder)
    shown = f"{base.id} at revision {base.revision}: its"
    if not answers(base.id, "model", base.revision):
        raise ValueError(f"{shown} files can't be fetched: the hub does not answer; run it again when it does")
    # The tokenizer first: it is small, and tells whether the hub can be reached.
    with explained(f"{shown} tokenizer"):
        tokenizer = AutoTokenizer.from_pretrained(base.id, revision=base.revision, trust_remote_code=False)
    return causal_model(base.id, f"{shown} model", revision=base.revision), tokenizer
