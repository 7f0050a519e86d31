"""Under DVC, stages start as forks of one process that has the libraries loaded.

torch, transformers and lightning take seconds to load, and in a pipeline of small stages that adds up to more than the
stages' own work. So the first stage of a `dvc repro` that needs them starts a process that does nothing but load them,
and lives as long as DVC does. Each stage's own process, which DVC started, has that process fork, and ends with the
fork's status. The fork has its streams and its group, so that a terminal treats both alike (Ctrl-C, Ctrl-Z), and what
ends the one ends the other. Nothing else of thicket is loaded before the fork (so the imports inside functions here): a
stage runs the code of its time.

Not where there is a GPU, whose driver does not survive a fork, nor outside Linux.
"""

import fcntl
import gc
import importlib
import io
import json
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

OWNER = "THICKET_REPRO"
"""Environment variable: the process id of a `thicket repro`, whose stages share one process with the libraries."""
HEAVY = ("models", "evaluate", "analyze")
"""Folders of resolved configs whose stages need the libraries."""
LIBRARIES = ("torch", "transformers.models.llama.modeling_llama", "lightning.pytorch", "pydantic")
"""What nearly every stage loads; what one needs beside it, it loads itself."""
DRIVERS = tuple(map(Path, ("/dev/nvidiactl", "/dev/nvmap", "/dev/dxg", "/dev/kfd")))
"""NVIDIA's, on a PC, on Jetson and on Windows, and AMD's."""
BACKLOG = 8
"""Stages that may wait for the libraries; more of them wait to ask."""
STREAMS = [0, 1, 2]
"""Input, output and errors."""
LONGEST_MESSAGE = 2**16
"""Bytes."""


def run(config: Path) -> int | None:
    """Runs the stage of a resolved config in a fork; None where it has to run in this process, or may as well."""
    from thicket.signals import UNDER_DVC, die_with_dvc

    if config.parent.name not in HEAVY or UNDER_DVC not in os.environ or not can_fork():
        return None

    die_with_dvc()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        passed = _passed_on(connection)
        try:
            _connect(connection, int(os.environ.get(OWNER, os.getppid())))
            request = {"group": os.getpgrp(), "config": str(config)}
            socket.send_fds(connection, [json.dumps(request).encode()], STREAMS)
            forked = _received(connection) is not None
        except OSError:  # Some file systems have no sockets.
            forked = False
        if not forked:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            return None
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # The fork has it too, and ends as it likes.
        status = _received(connection)
    if status is None:
        if passed:
            return 128 + passed[0]
        print("Error: the stage ended without a status: killed, perhaps for the memory that it took", file=sys.stderr)
        return 1
    return status


def can_fork() -> bool:
    """Whether the system can say when DVC ends, and has no GPU."""
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):
        return False
    return not any(driver.exists() for driver in DRIVERS)


def address_of(dvc: int) -> Path:
    """The socket of the process that has the libraries loaded for a DVC process, from the project's root."""
    from thicket.config.places import RESUME

    # Relative, as the addresses of sockets have to be short. Containers that share the folder may share ids.
    return RESUME / f"loaded-{os.stat('/proc/self/ns/pid').st_ino}-{dvc}.socket"


def _passed_on(connection: socket.socket) -> list[int]:
    """From here on SIGTERM goes to the fork, and into this list."""
    passed: list[int] = []

    def pass_on(number: int, frame: object) -> None:
        passed.append(number)
        with suppress(OSError):
            connection.send(bytes([number]))

    signal.signal(signal.SIGTERM, pass_on)
    return passed


def _connect(connection: socket.socket, dvc: int) -> None:
    """Connects to the process that has the libraries loaded for a DVC process, which is started where there is none.

    Raises: OSError.
    """
    address = address_of(dvc)
    try:
        connection.connect(str(address))
        return
    except OSError:
        address.parent.mkdir(parents=True, exist_ok=True)
    with address.with_name("loading.lock").open("a") as turn:  # Stages side by side start one process, not two.
        fcntl.flock(turn, fcntl.LOCK_EX)
        try:
            connection.connect(str(address))
        except OSError:
            _start(address, dvc)
            connection.connect(str(address))


def _start(address: Path, dvc: int) -> None:
    """Starts the process that loads the libraries. It can be connected to at once, and answers when it is ready."""
    address.unlink(missing_ok=True)  # of a process with this id that was killed
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
        listening.bind(str(address))
        listening.listen(BACKLOG)
        command = [sys.executable, "-P", "-m", "thicket.warm", str(address), str(listening.fileno()), str(dvc)]
        nothing = subprocess.DEVNULL  # Who reads what this stage prints must not wait for that process to end.
        kept = [listening.fileno()]
        # In a group of its own, which no Ctrl-C reaches.
        subprocess.Popen(command, stdin=nothing, stdout=nothing, stderr=nothing, pass_fds=kept, process_group=0)


def _received(connection: socket.socket) -> int | None:
    """A message of one byte; None where the other end is gone."""
    try:
        return next(iter(connection.recv(1)), None)
    except ConnectionError:
        return None


# -- The process that has the libraries loaded, and its forks ----------------------------------------------------------


def serve(address: Path, listening: socket.socket, dvc: int) -> None:
    """Loads the libraries, and forks for each stage that asks, as long as DVC lives; ends after the last fork."""
    loaded = os.getpid()
    try:
        ends = os.pidfd_open(dvc)
        for library in LIBRARIES:
            importlib.import_module(library)
        gc.freeze()  # What is loaded stays: forks need not look through it for garbage.
        warnings.filterwarnings("ignore", ".*multi-threaded.*fork", DeprecationWarning)  # numpy's threads bear it
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # A fork tells its status itself.
        while ends not in select.select([listening, ends], [], [])[0]:
            connection, _ = listening.accept()
            if not os.fork():
                listening.close()
                os.close(ends)
                sys.exit(_stage(connection))
            connection.close()
        with suppress(ChildProcessError):
            os.wait()  # for all of them, where SIGCHLD is ignored
    finally:
        if os.getpid() == loaded:
            address.unlink(missing_ok=True)


def _stage(connection: socket.socket) -> int:
    """In the fork: runs the stage that is asked for, and tells the status and returns it."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        config = _take_over(connection)
    except ConnectionError:
        return 1  # Who asked is gone.
    if select.select([connection], [], [], 0)[0]:  # It was ended while the libraries were loaded: nothing is begun.
        return 128 + (_received(connection) or signal.SIGTERM)
    told = threading.Event()
    threading.Thread(target=_listen, args=[connection, told], daemon=True).start()
    try:
        from thicket.cli import main
        from thicket.signals import UNDER_DVC

        os.environ.pop(UNDER_DVC)  # It is the first stage's.
        status = main(["run", config])
    except BaseException:  # A fault of thicket's own.
        traceback.print_exc()
        status = 1
    told.set()
    with suppress(ConnectionError):
        connection.send(bytes([status]))
    return status


def _take_over(connection: socket.socket) -> str:
    """Takes the streams and the group of the stage's own process, and answers it; the config to run.

    Raises: ConnectionError where that process is gone.
    """
    message, received, _, _ = socket.recv_fds(connection, LONGEST_MESSAGE, len(STREAMS))
    if len(received) < len(STREAMS):
        raise ConnectionError
    for own, theirs in zip(STREAMS, received, strict=True):
        os.dup2(theirs, own)
        os.close(theirs)
    assert isinstance(sys.stdout, io.TextIOWrapper)
    sys.stdout.reconfigure(line_buffering=sys.stdout.isatty())
    request = json.loads(message)
    with suppress(OSError):  # The group is gone with its last process.
        os.setpgid(0, request["group"])
    connection.send(b"\0")
    return request["config"]


def _listen(connection: socket.socket, told: threading.Event) -> None:
    """Hands on the signals that the stage's own process passes; where that was killed, the stage stops too."""
    while (number := _received(connection)) is not None:
        os.kill(os.getpid(), number)
    if not told.is_set():
        os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    serve(Path(sys.argv[1]), socket.socket(fileno=int(sys.argv[2])), int(sys.argv[3]))
