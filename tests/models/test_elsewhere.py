"""Bases that were trained elsewhere: folders, and the hub through a stand-in for the network."""

from pathlib import Path
from typing import Any

import pytest
import torch

from thicket.config.base import FolderBase, HubBase
from thicket.models import elsewhere
from thicket.models.elsewhere import fetched, load_elsewhere
from thicket.models.folder import load_model

REVISION = "0123456789abcdef0123456789abcdef01234567"


def folder_base(path: str) -> FolderBase:
    return FolderBase(type="folder", path=path, context=64)


def hub_base() -> HubBase:
    return HubBase(type="hub", id="someone/some-model", revision=REVISION, context=64)


def test_folder_by_relative_and_by_absolute_path(toy_folder: Path, tmp_path: Path):
    stored = load_model(toy_folder).state_dict()
    for path in ("toy", str(toy_folder)):
        model, tokenizer = load_elsewhere(folder_base(path), tmp_path)
        assert all(torch.equal(tensor, stored[key]) for key, tensor in model.state_dict().items())
        assert tokenizer("a")["input_ids"] == [1, 18]  # begin of sequence, and "a" after 4 specials and 14 characters


def test_missing_folder(tmp_path: Path):
    with pytest.raises(ValueError, match="models/mine: there is no such folder"):
        load_elsewhere(folder_base("models/mine"), tmp_path)


def test_hub_takes_the_pinned_revision_as_a_folder(toy_folder: Path, tmp_path: Path, monkeypatch):
    asked: list[tuple[str, str | None]] = []

    def download(name: str, revision: str | None, **_: Any) -> str:
        asked.append((name, revision))
        return str(toy_folder)

    monkeypatch.setattr(elsewhere, "snapshot_download", download)
    model, tokenizer = load_elsewhere(hub_base(), tmp_path)
    assert model.dtype == torch.float32
    assert tokenizer.eos_token_id == 2
    assert asked == [("someone/some-model", REVISION)]
    (toy_folder / "model.safetensors").unlink()  # what is checked of folders is checked of the hub's too
    with pytest.raises(ValueError, match=r"no model here \(no \*\.safetensors file\)"):
        load_elsewhere(hub_base(), tmp_path)


def test_unreachable_hub(tmp_path: Path, monkeypatch):
    def download(*_: Any, **__: Any) -> Any:
        raise OSError("We couldn't connect to the hub\nto load the files, and couldn't find them in the cached files.")

    monkeypatch.setattr(elsewhere, "snapshot_download", download)
    expected = (
        rf"someone/some-model@{REVISION}: no folder here, and the hub's .* be loaded: We couldn't connect .* files\."
    )
    with pytest.raises(ValueError, match=expected):
        load_elsewhere(hub_base(), tmp_path)


def test_a_source_is_a_folder_or_an_id_of_the_hub(toy_folder: Path, monkeypatch: pytest.MonkeyPatch):
    """The hub is asked for weights and texts alone, at the revision that is named."""
    asked: list[tuple[str, str | None, list[str]]] = []

    def download(name: str, revision: str | None, allow_patterns: list[str], ignore_patterns: list[str]) -> str:
        asked.append((name, revision, allow_patterns))
        return str(toy_folder)

    monkeypatch.setattr(elsewhere, "snapshot_download", download)
    assert fetched(str(toy_folder)) == toy_folder
    assert asked == []
    assert fetched("someone/some-model") == fetched(f"someone/some-model@{REVISION}") == toy_folder
    assert [(name, revision) for name, revision, _ in asked] == [
        ("someone/some-model", None),
        ("someone/some-model", REVISION),
    ]
    assert not any(pattern.endswith((".py", ".bin", ".pt")) for pattern in asked[0][2])


def test_a_hub_that_can_t_be_reached_is_named(monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: Any, **__: Any) -> str:
        raise OSError("no route to host")

    monkeypatch.setattr(elsewhere, "snapshot_download", refuse)
    with pytest.raises(
        ValueError, match="someone/some-model: no folder here, and the hub's model can't be loaded: no route"
    ):
        fetched("someone/some-model")
