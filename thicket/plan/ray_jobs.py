"""SIGTERM at a sweep whose jobs Ray runs, on this machine or on others.

Ray ends the jobs of a driver that dies at once, without a checkpoint. So the sweep leaves a word in its folder, which
all nodes see, and goes on waiting for its jobs; each looks for it, and sends itself SIGTERM.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from thicket.signals import AGAIN, GRACE, TERMINATED, Interrupted, exit_at_sigterm

PACKAGE = "hydra_plugins.hydra_ray_launcher"
SETTINGS = frozenset(f"hydra/launcher={name}" for name in ("ray", "ray_local", "ray_cluster"))
_WORD = "stop"
"""A file in the sweep's folder: its jobs are to stop."""


@contextmanager
def jobs_end_too(folder: Path) -> Iterator[None]:
    """Where SIGTERM comes, the block goes on until its jobs have ended, and leaves with TERMINATED.

    At another SIGTERM, or after a while, it leaves at once, and Ray kills them.
    """
    _core: Any = import_module(f"{PACKAGE}._core")
    start, asked = _core.start_ray, threading.Event()

    def stop(*_: object) -> None:
        if asked.is_set():
            raise SystemExit(TERMINATED)
        asked.set()
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _WORD).touch()
        signal.alarm(round(GRACE))

    def started(config: Any) -> None:
        if asked.is_set():  # A sweeper that hands out its jobs in batches goes on with the next.
            raise SystemExit(TERMINATED)
        start(config)
        listen()  # Again: Ray, as it starts, sets handlers of its own.

    def listen() -> None:
        for number in handlers:
            signal.signal(number, stop)

    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGALRM)}
    listen()
    _core.start_ray = started
    try:
        yield
    except SystemExit as left:
        if left.code == signal.SIGTERM:  # Ray's own handler, while it starts.
            raise SystemExit(TERMINATED) from None
        if not asked.is_set():
            raise
    finally:
        signal.alarm(0)
        _core.start_ray = start
        for number, before in handlers.items():
            signal.signal(number, before)
    if asked.is_set():
        raise SystemExit(TERMINATED)


def is_asked(folder: Path) -> bool:
    """Whether the jobs of the sweep in this folder are to stop. A network's folder that can't be looked at says no."""
    return os.path.exists(folder / _WORD)  # Path's own raises where a handle is stale.


def runs(launcher: Any) -> bool:
    """Whether the launcher of Hydra's that this config makes is Ray's."""
    return launcher._target_.startswith(PACKAGE)


@contextmanager
def stops_when_asked(folder: Path) -> Iterator[None]:
    """For a job: ends the block, as SIGTERM does, once its sweep is to stop.

    The job then returns like others: Ray would begin one whose process ends anew.
    """
    ended, before = threading.Event(), signal.getsignal(signal.SIGTERM)

    def look() -> None:
        # Not at once: what SIGTERM raises before the block is entered leaves it unheard, and the process ends.
        while not ended.wait(AGAIN):
            if is_asked(folder):
                os.kill(os.getpid(), signal.SIGTERM)

    exit_at_sigterm()
    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    try:
        try:
            yield
        finally:  # Within what hears the one that comes as the block ends.
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
    except (Interrupted, SystemExit):
        if not is_asked(folder):
            raise
    finally:
        ended.set()
        looking.join()
        signal.signal(signal.SIGTERM, before)  # The process is Ray's, which gives it the next job.
