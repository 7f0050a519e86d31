"""Runs a command of thicket's in two processes, as torchrun starts them: forks of one that has the libraries loaded.

To load them takes a process as long as ten small stages.
"""

import importlib
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from thicket.warm import LIBRARIES

COUNT = 2
LONGEST = 300
"""Seconds."""


def free_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


def together(folder: Path, command: Sequence[str], said: Path) -> None:
    """Runs `thicket COMMAND` in that folder; what process N prints is in the file N of `said`. All have to succeed."""
    said.mkdir()
    environment = {**os.environ, "WORLD_SIZE": str(COUNT), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port()}
    subprocess.run(
        [sys.executable, __file__, str(said), *command], cwd=folder, env=environment, check=True, timeout=LONGEST
    )


def _fork(rank: int, said: Path, command: list[str]) -> int:
    """Starts a process of them; its id."""
    if child := os.fork():
        return child
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank)}
    with (said / str(rank)).open("wb") as file:
        os.dup2(file.fileno(), 1)
    from thicket.cli import main

    status = main(command)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    for library in LIBRARIES:
        importlib.import_module(library)
    forks = [_fork(rank, Path(sys.argv[1]), sys.argv[2:]) for rank in range(COUNT)]
    sys.exit(any(os.waitpid(fork, 0)[1] for fork in forks))
