"""Ends a run that SIGTERM has asked to stop and that never comes to the end of its step: a verifier that loops, a hang.

A run looks between two steps whether it is to stop, and finishes the step that it is at. That a step hangs can only be
seen from beside it: a thread waits for the signal, and then for signs of life. Without any for long enough it ends the
process as SIGKILL would, which a run is made for: nothing of it is half published, and it goes on from the last
checkpoint. Code that holds the interpreter's lock as it hangs stops this thread too, and is for SIGKILL.
"""

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from thicket.signals import AGAIN, GRACE, TERMINATED
from thicket.standing import Standing, current

SILENCE = GRACE / 2
"""Seconds without a sign of life, beyond the longest that the run has been silent before, until it is taken for hung.

Half of what a sweep and `thicket repro` give, so that a run still says itself how it ended.
"""


@contextmanager
def ended_when_overdue(resume: Path) -> Iterator[None]:
    """Within the block SIGTERM ends the process at the latest when it is silent for too long.

    Signs of life are that the run tells how far it is, and that the files change which it keeps in `resume`: a large
    checkpoint may take longer to write than any step.
    """
    if threading.current_thread() is not threading.main_thread() or (run := current()) is None:
        yield
        return
    woken, wakes = socket.socketpair()
    wakes.setblocking(False)  # as `set_wakeup_fd` wants it
    # The interpreter writes there, whoever handles the signal by then: Lightning does too.
    before = signal.set_wakeup_fd(wakes.fileno(), warn_on_full_buffer=False)
    over = threading.Event()
    watch = threading.Thread(target=_watch, args=[woken, over, run, resume], daemon=True)
    watch.start()
    try:
        yield
    finally:
        over.set()
        signal.set_wakeup_fd(before)
        wakes.close()
        watch.join()
        woken.close()


def _watch(woken: socket.socket, over: threading.Event, run: Standing, resume: Path) -> None:
    while received := woken.recv(1):
        if received[0] == signal.SIGTERM:
            break
    seen, since = _signs(run, resume), time.monotonic()
    while not over.wait(AGAIN):
        now = _signs(run, resume)
        if now != seen:
            seen, since = now, time.monotonic()
        elif time.monotonic() - since > SILENCE + run.longest_silence:
            _end(run, time.monotonic() - since)


def _signs(run: Standing, resume: Path) -> object:
    """What changes as the run goes on."""
    files = set[tuple[Path, int, int]]()
    for path in resume.rglob("*"):
        with suppress(OSError):  # It is gone by now.
            files.add((path, path.stat().st_size, path.stat().st_mtime_ns))
    return run.told, files


def _end(run: Standing, silent: float) -> None:
    text = (
        f"Stopped by SIGTERM: the step that was on its way has not ended, and nothing came of it in {silent:.0f} s"
        f"{_where()}. The next run goes on from the last checkpoint.\n"
    )
    run.says(text)
    run.ends("stopped")
    with suppress(OSError, ValueError):
        os.write(2, text.encode())  # The stream's own lock may be held by what hangs.
    os._exit(TERMINATED)


def _where() -> str:
    """`; it is at FILE:LINE`: where the main thread is."""
    frame = sys._current_frames().get(threading.main_thread().ident or 0)
    if frame is None:
        return ""
    file = Path(frame.f_code.co_filename)
    return f"; it is at {file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file}:{frame.f_lineno}"
