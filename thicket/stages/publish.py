"""Publishing: an artifact appears whole or not at all, and is made by one process at a time."""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from thicket.config.stages import Stage
from thicket.disk import explained, refusal_explained, take_place


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
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+", encoding="utf-8")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise Busy(f"{what} is being made by another process (pid {file.read().strip() or 'unknown'})") from None
        with suppress(OSError):  # On a full disk it locks as well, without a name on it.
            os.ftruncate(file.fileno(), 0)
            os.write(file.fileno(), str(os.getpid()).encode())
        yield


@contextmanager
def whole(target: Path, beside: str | None = None) -> Iterator[Path]:
    """An empty folder next to `target` that takes its place if the block succeeds; leftovers are cleared next time.

    `beside`: a name that tells it from others who write to `target`: their files stay there, and those of the new
    folder join them, each in one piece.
    """
    partial = target.with_name(f".{beside or target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        with explained(target):
            partial.mkdir(parents=True)
        with refusal_explained(target):
            yield partial
    except Exception:  # Half of a model would keep room that a full disk lacks.
        shutil.rmtree(partial, ignore_errors=True)
        raise
    if beside is None:
        take_place(partial, target)
        return
    with explained(target):
        target.mkdir(parents=True, exist_ok=True)
        for path in partial.iterdir():
            os.replace(path, target / path.name)
        partial.rmdir()
