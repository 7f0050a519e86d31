"""A worker process as its pool sees it: what it was asked, how long it may take, and what it answered."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thicket.config.sandbox import Sandbox
from thicket.domains import calls
from thicket.domains.sandbox.box.confine import death_by_status
from thicket.domains.sandbox.launch import ENVIRONMENT, boxed, require

START_SECONDS = 120.0
"""How long the import of a function may take, on a busy machine; the largest packages take a few seconds."""
READ_BYTES = 1 << 16
"""What is read at once: what a pipe holds."""
PACKAGE = Path(__file__).parents[1]
"""thicket's own folder."""


@dataclass(frozen=True)
class Outcome:
    """What came of a call."""

    value: Any = None
    """What the function returned, after a way through JSON; null where it didn't."""
    reason: str = ""
    """Why there is no value: `time limit`, `exception: TypeName`, `crashed (SIGSEGV)`, …; empty where there is one."""


def worker_command(function: str, sandbox: Sandbox | None) -> list[str]:
    """The command that serves calls of a function (thicket.domains.calls).

    Raises: ValueError where the sandbox isn't to be had.
    """
    command = [sys.executable, "-m", calls.__name__, function]
    if sandbox is None:
        return command
    require(sandbox)
    # The box's environment is empty: thicket may be found by a path of the caller's alone.
    found = ["/usr/bin/env", f"PYTHONPATH={PACKAGE.parent}"]
    return boxed([*found, *command, sandbox.model_dump_json()], sandbox, [Path(sys.prefix), PACKAGE])


class Worker:
    """A process that serves calls, one at a time."""

    def __init__(self, command: list[str], sandboxed: bool) -> None:
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=ENVIRONMENT if sandboxed else None,
            start_new_session=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._input, self._output = self._process.stdin, self._process.stdout
        self.output = self._output.fileno()
        """To wait on: readable when there is something to `read`."""
        self.deadline = time.monotonic() + START_SECONDS
        """When the call (before the first one: the import) has taken too long."""
        self.ready = False
        """Whether the function has been imported."""
        self._received = b""
        self._ended = False
        self.died = False
        """It ended in the midst of a call."""

    def send(self, arguments: Mapping[str, Any], seconds: float) -> None:
        """Starts a call, which may take so long once the function has been imported."""
        if self.ready:
            self.deadline = time.monotonic() + seconds
        with suppress(BrokenPipeError):  # It has just died, which `read` tells.
            self._input.write(json.dumps(arguments).encode() + b"\n")
            self._input.flush()

    def read(self, seconds: float) -> None:
        """Takes in what the process has said. Raises: ValueError where it can't import the function."""
        part = os.read(self.output, READ_BYTES)
        self._ended = not part
        self._received += part
        if not self.ready and b"\n" in self._received:
            line, _, self._received = self._received.partition(b"\n")
            if problem := json.loads(line)["problem"]:
                raise ValueError(problem)
            self.ready, self.deadline = True, time.monotonic() + seconds

    def outcome(self) -> Outcome | None:
        """What came of the call; null while it goes on."""
        if self._received.endswith(b"\n"):
            return Outcome(**json.loads(self._received))
        if self._ended:
            self.died = True
            return Outcome(reason=death_by_status(self._process.wait()))
        if time.monotonic() >= self.deadline:
            self.died = not self.ready
            return Outcome(reason="time limit")
        return None

    def rest(self) -> bool:
        """Forgets the call. Whether the process can serve another one."""
        answered = self._received.endswith(b"\n")
        self._received = b""
        return answered

    def alive(self) -> bool:
        """It may have died between calls."""
        return self._process.poll() is None

    def close(self) -> None:
        """Ends the process, with all that it started in its session."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._output.close()
        with suppress(BrokenPipeError):
            self._input.close()
