"""Publishing: an artifact appears whole or not at all, and is made by one process at a time."""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from thicket.config.stages import Stage


class Busy(Exception):
    """Another process is making the same artifact."""


def config_hash(stage: Stage) -> str:
    """SHA-256 of a resolved config."""
    text = json.dumps(stage.model_dump(mode="json"), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


@contextmanager
def locked(path: Path, what: str) -> Iterator[None]:
    """Holds a lock that the system releases when the process ends, however it ends.

    Raises: Busy where another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise Busy(f"{what} is being made by another process (pid {file.read().strip() or 'unknown'})") from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


@contextmanager
def whole(target: Path, beside: str | None = None) -> Iterator[Path]:
    """An empty folder next to `target` that takes its place if the block succeeds; leftovers are cleared next time.

    `beside`: a name that tells it from others who write to `target`: their files stay there, and those of the new
    folder join them, each in one piece.
    """
    partial = target.with_name(f".{beside or target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    yield partial
    if beside is not None:
        target.mkdir(parents=True, exist_ok=True)
        for path in partial.iterdir():
            os.replace(path, target / path.name)
        partial.rmdir()
        return
    shutil.rmtree(target, ignore_errors=True)
    os.replace(partial, target)


def write_whole(target: Path, text: str) -> None:
    """Writes a file in one piece."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, target)
