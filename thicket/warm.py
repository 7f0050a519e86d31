"""Under DVC, stages start as forks of one process that has the libraries loaded.

torch, transformers and lightning take seconds to load, and in a pipeline of small stages that adds up to more than the
stages' own work. So the first stage of a `dvc repro` that needs them starts a process that does nothing but load them,
and lives as long as DVC does. Each stage's own process, which DVC started, has that process fork, passes signals on to
the fork, and ends with its status. Nothing else of thicket is loaded before the fork (so the imports inside functions
here): a stage runs the code of its time.

Not where there is a GPU, whose driver does not survive a fork, nor outside Linux.
"""

import gc
import importlib
import io
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import traceback
import warnings
from contextlib import suppress
from pathlib import Path
from types import FrameType

UNDER_DVC = "DVC_STAGE"
"""Environment variable that DVC gives to a stage's command."""
LOADING = ("models", "evaluate", "analyze")
"""Folders of resolved configs whose stages need the libraries."""
LIBRARIES = ("torch", "transformers.models.llama.modeling_llama", "lightning.pytorch", "pydantic")
"""What nearly every stage loads; what one needs beside it, it loads itself."""
DRIVERS = (Path("/dev/nvidiactl"), Path("/dev/kfd"))
"""NVIDIA's and AMD's."""
WAITING = 8
"""Stages that may wait for the libraries; DVC runs one at a time."""
STREAMS = [0, 1, 2]
"""Input, output and errors."""
LONGEST_REQUEST = 4096
"""Bytes: a path."""


def run(config: Path) -> int | None:
    """Runs the stage of a resolved config in a fork; None where it has to run in this process, or may as well."""
    if config.parent.name not in LOADING or UNDER_DVC not in os.environ:
        return None
    if not hasattr(os, "pidfd_open") or any(driver.exists() for driver in DRIVERS):
        return None
    from thicket.config.places import RESUME

    dvc = os.getppid()
    address = RESUME / f"loaded-{dvc}.socket"  # from the project's root: the addresses of sockets have to be short
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(str(address))
        except OSError:
            _start(address, dvc)
            connection.connect(str(address))
        return _follow(connection, config)


def _start(address: Path, dvc: int) -> None:
    """Starts the process that loads the libraries. It can be connected to at once, and answers when it is ready."""
    address.parent.mkdir(parents=True, exist_ok=True)
    address.unlink(missing_ok=True)  # of a process with this id that was killed
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(address))
        listening.listen(WAITING)
        command = [sys.executable, "-P", "-m", "thicket.warm", str(address), str(listening.fileno()), str(dvc)]
        nothing = subprocess.DEVNULL  # Who reads what this stage prints must not wait for that process to end.
        # In a group of its own: a Ctrl-C reaches the stage's own process alone, which passes it on.
        kept = [listening.fileno()]
        subprocess.Popen(command, stdin=nothing, stdout=nothing, stderr=nothing, pass_fds=kept, process_group=0)


def _follow(connection: socket.socket, config: Path) -> int | None:
    """Asks for a stage, passes signals on to it, and returns the status that it ends with; None if nobody answers."""
    from thicket.signals import die_with_parent

    socket.send_fds(connection, [f"{config}\n".encode()], STREAMS)
    if _received(connection) is None:
        return None
    passed: list[int] = []

    def pass_on(number: int, frame: FrameType | None) -> None:
        passed.append(number)
        with suppress(ConnectionError):
            connection.send(bytes([number]))

    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, pass_on)
    die_with_parent()
    status = _received(connection)
    if status is None and not passed:
        print("Error: the stage's process was killed, as one is that takes more memory than there is", file=sys.stderr)
        return 1
    return 128 + passed[0] if status is None else status


def _received(connection: socket.socket) -> int | None:
    """One byte; None where the other end is gone."""
    try:
        return next(iter(connection.recv(1)), None)
    except ConnectionError:
        return None


def serve(address: Path, listening: socket.socket, dvc: int) -> None:
    """Loads the libraries, and forks for each stage that asks, as long as DVC lives."""
    ends = os.pidfd_open(dvc)
    for library in LIBRARIES:
        importlib.import_module(library)
    gc.freeze()  # What is loaded stays: forks need not look through it for garbage.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # Nobody waits for a fork's status: it tells it itself.
    while ends not in select.select([listening, ends], [], [])[0]:
        connection, _ = listening.accept()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # numpy has threads, which know of forks
            child = os.fork()
        if not child:
            listening.close()
            os.close(ends)
            sys.exit(_stage(connection))
        connection.close()
    address.unlink(missing_ok=True)


def _stage(connection: socket.socket) -> int:
    """In the fork: runs the stage that is asked for, and tells the status and returns it."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    config = _take_over(connection)
    told = threading.Event()
    threading.Thread(target=_listen, args=[connection, told], daemon=True).start()
    try:
        from thicket.stages.launch import run_config

        status = run_config(Path.cwd(), config)
    except BaseException:  # A fault of thicket's own, which the stage's process would show as well.
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    told.set()
    with suppress(ConnectionError):
        connection.send(bytes([status]))
    return status


def _take_over(connection: socket.socket) -> Path:
    """Takes the request and the streams of the stage's own process, and answers it."""
    request, received, _, _ = socket.recv_fds(connection, LONGEST_REQUEST, len(STREAMS))
    for own, theirs in zip(STREAMS, received, strict=True):
        os.dup2(theirs, own)
        os.close(theirs)
    for stream in (sys.stdout, sys.stderr):
        assert isinstance(stream, io.TextIOWrapper)
        stream.reconfigure(line_buffering=stream.isatty())
    connection.send(b"\0")
    return Path(request.decode().rstrip("\n"))


def _listen(connection: socket.socket, told: threading.Event) -> None:
    """Hands on the signals that the stage's own process passes; where that was killed, the stage stops too."""
    while (number := _received(connection)) is not None:
        os.kill(os.getpid(), number)
    if not told.is_set():
        os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    serve(Path(sys.argv[1]), socket.socket(fileno=int(sys.argv[2])), int(sys.argv[3]))
