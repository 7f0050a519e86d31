"""A process that has the libraries of stages loaded, and forks for commands that would load them for seconds each.

A command's Python finds loaded/sitecustomize.py on its path, and has this process fork in its stead: with its
arguments, streams, folder and environment. Nothing of thicket is loaded before, so that the fork takes the command's
own copy of it. Signals to the command, and to its session, don't reach the fork, and all forks have the same hashes of
texts: tests of what these do start their processes as a user would.
"""

import atexit
import functools
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

LONGEST_REQUEST = 2**17
"""Bytes; most of it is the environment."""
MOST_STREAMS = 4
FOLDER = Path(__file__).parent / "loaded"


def run_by_forks(command: str, environment: dict[str, str]) -> dict[str, str]:
    """An environment in which the Python commands with that in their command line are run by forks."""
    path = [one for one in (environment.get("PYTHONPATH"), str(FOLDER)) if one]
    own = {"PYTHONPATH": os.pathsep.join(path), "THICKET_LOADED": _address(), "THICKET_LOADED_FOR": command}
    return {**environment, **own}


@functools.cache
def _address() -> str:
    """Starts the process, which ends with this one; the name of its socket."""
    from thicket.warm import LIBRARIES

    name = f"thicket-tests-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
        listening.bind(f"\0{name}")
        listening.listen()
        fileno = listening.fileno()
        command = [sys.executable, "-P", __file__, str(fileno), *LIBRARIES]
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        process = subprocess.Popen(command, stdin=subprocess.PIPE, env=environment, pass_fds=[fileno])
    atexit.register(process.communicate)
    return name


def serve(listening: socket.socket, libraries: list[str]) -> None:
    """Loads the libraries, and forks as often as it is asked to, until its input ends."""
    for library in libraries:
        importlib.import_module(library)
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while sys.stdin not in select.select([listening, sys.stdin], [], [])[0]:
        connection, _ = listening.accept()
        message, passed, _, _ = socket.recv_fds(connection, LONGEST_REQUEST, MOST_STREAMS)
        if not os.fork():
            listening.close()
            become(json.loads(message), passed, connection)
        for stream in passed:
            os.close(stream)
        connection.close()


def become(request: dict[str, Any], passed: list[int], connection: socket.socket) -> None:
    """In the fork: goes on as the process that asked would have, and tells it the status."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setpgid(0, 0)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    for own, theirs in enumerate(passed[:3]):
        os.dup2(theirs, own)
        os.close(theirs)
    process, status = os.getpid(), 1
    try:
        run(request["command"], passed[3:])
        status = 0
    except SystemExit as ended:
        status = int(ended.code or 0)
        raise
    finally:
        if os.getpid() == process:  # and not a fork of the command's own
            sys.stdout.flush()
            connection.send(bytes([status]))
    sys.exit()


def run(command: list[str], passed: list[int]) -> None:
    """As `python COMMAND` does. The number of a socket that was passed stands in another's place."""
    sys.path[:0] = os.environ["PYTHONPATH"].split(os.pathsep)
    first, *arguments = (one for one in command if one != "-P")
    if passed:  # thicket.warm
        arguments[2] = str(passed[0])
    if first == "-m":
        sys.argv = arguments
        runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv = [first, *arguments]
        sys.path.insert(0, str(Path(first).parent))
        runpy.run_path(first, run_name="__main__")


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])), sys.argv[2:])
