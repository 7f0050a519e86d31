"""A hub that takes connections and never answers: the message says so in bounded time."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from thicket.config.base import HubBase
from thicket.config.source import DatasetSource
from thicket.domains.sources.dataset import raw_items
from thicket.models.elsewhere import fetched, load_elsewhere
from thicket.stages.launch import FAILED, guarded

LONGEST = 30.0
"""Seconds, on a busy machine; the hub's package by itself waits for ever."""
BASE = HubBase(type="hub", id="someone/base", revision="0" * 40, context=64)
DATA = DatasetSource(
    type="dataset", path="someone/data", split="train", revision="0" * 40, question="{q}", answer="{a}"
)
WORK: dict[str, Callable[[], object]] = {
    "someone/model": lambda: fetched("someone/model"),
    "someone/base": lambda: load_elsewhere(BASE, Path()),
    "someone/data": lambda: next(raw_items(DATA, 0)),
}


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that never says anything."""
    held: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    held.append(server.accept()[0])
                except OSError:
                    return

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
    for connection in held:
        connection.close()


@pytest.mark.parametrize("named", WORK)
def test_a_silent_hub(
    silent: str, named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", silent)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 1)
    began = time.monotonic()
    status = guarded(lambda: print(WORK[named]()))
    assert 1 <= time.monotonic() - began < LONGEST
    assert status == FAILED
    note, error = capsys.readouterr().err.splitlines()
    assert note == f"Note: {silent} does not answer within 1 s."
    assert error.startswith("Error: ")
    assert named in error
    assert "can't be" in error
