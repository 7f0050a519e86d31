"""The checkpoint that a training resumes from: written in one piece, and read back whole or not at all."""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO

from thicket.disk import explained, set_aside

CHECKPOINT = "last.ckpt"


class Streamed(TorchCheckpointIO):
    """Writes where it is told to. Lightning's own way makes a copy in memory, and another in the system's temporary
    folder, which may be small, and keeps it where the process is killed."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        # The file is opened here: of one that torch opens it doesn't say why it can't be written.
        with explained(Path(path), RuntimeError), open(path, "wb") as file:
            torch.save(checkpoint, file)


def usable(checkpoint: Path, title: str) -> Path | None:
    """The checkpoint, where there is one and it is whole. A broken one is set aside, and that is said.

    Torch writes a check sum of each part into the file and does not look at it when it reads: a flipped bit would go
    on as a weight.
    """
    if not checkpoint.is_file():
        return None
    problem = _problem(checkpoint)
    if not problem:
        return checkpoint
    set_aside(checkpoint, title, problem)
    print(f"{title}: begins anew", flush=True)
    return None


def _problem(checkpoint: Path) -> str:
    try:
        with zipfile.ZipFile(checkpoint) as parts:
            damaged = parts.testzip()
    except (zipfile.BadZipFile, EOFError, ValueError, NotImplementedError) as error:
        return str(error) or type(error).__name__
    return f"the check sum of its part {damaged} is wrong" if damaged else ""


@contextmanager
def plain_data(checkpoint: Path | None) -> Iterator[None]:
    """Around the reading of a checkpoint. Raises: ValueError where it holds more than tensors and plain values."""
    try:
        yield
    except UnpicklingError as error:
        wrong = "holds more than tensors and plain values; delete it, and the training begins anew"
        raise ValueError(f"{checkpoint}: {wrong}") from error
