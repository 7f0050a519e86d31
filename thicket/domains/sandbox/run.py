"""Runs a program in a box and watches it from outside: its time, its memory, and what it prints."""

import json
import os
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import thicket
from thicket.config.sandbox import Limits, Sandbox
from thicket.domains.sandbox.box import main as box
from thicket.domains.sandbox.box.confine import death_by_status
from thicket.domains.sandbox.launch import BARE_PYTHON, ENVIRONMENT, boxed
from thicket.domains.sandbox.usage import memory_and_processes

BOX = Path(box.__file__).parent
"""The only folder of thicket's that a box shows."""
START = f"""
import json, sys
sys.path.append({str(Path(thicket.__file__).parents[1])!r})
from {box.__name__} import main
main(json.loads(sys.argv[1]), *map(int, sys.argv[2:]))
"""
"""What Python runs in a box."""
LOOK_SECONDS = 0.1
"""How often the memory and the number of all processes are looked at."""
READ_BYTES = 1 << 16
"""What is read at once: what a pipe holds."""
BOX_PROCESSES = 2
"""bubblewrap's own processes, the one that watches and the first one of the box."""


@dataclass(frozen=True)
class Ending:
    """How a program ended."""

    passed: bool
    """Its tests passed; without tests: it ended by itself."""
    reason: str
    """What ended it, or which way the tests failed; empty where they passed."""
    output: str
    """What it printed, undecodable bytes replaced."""


def run_program(program: str, sandbox: Sandbox, tests: str | None = None, given: str = "") -> Ending:
    """Runs a program in a box of its own, and waits for its end.

    tests: source of the tests, which use the program's names; null: the program is run as a whole, as a script.
    given: what the program reads from its standard input.
    """
    settings = {
        "limits": sandbox.limits.model_dump(),
        "boxed": sandbox.isolation == "bubblewrap",
        "script": tests is None,
    }
    verdict_in, verdict_out = os.pipe()
    with _file(program) as program_file, _file(tests or "") as tests_file, _file(given) as input_file:
        files = (program_file, tests_file, verdict_out)
        with tempfile.TemporaryDirectory() as folder:
            process = subprocess.Popen(
                boxed([*BARE_PYTHON, "-c", START, json.dumps(settings), *map(str, files)], sandbox, [BOX]),
                stdin=input_file,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                pass_fds=files,
                env=ENVIRONMENT,
                cwd=folder,
                start_new_session=True,
            )
            os.close(verdict_out)
            return _watch(process, verdict_in, sandbox.limits)


@contextmanager
def _file(text: str) -> Iterator[int]:
    """A file in memory that holds the text, open for reading from its start."""
    descriptor = os.memfd_create("text")
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(text.encode("utf-8", "replace"))
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)


def _watch(process: subprocess.Popen[bytes], verdict_file: int, limits: Limits) -> Ending:
    """Reads output and verdict until the verdict is there, a limit is passed or all have ended; then ends them all."""
    assert process.stdout is not None
    output_file = process.stdout.fileno()
    parts = {output_file: bytearray(), verdict_file: bytearray()}
    begun = time.monotonic()
    end, look, excess = begun + limits.wall_seconds, begun + LOOK_SECONDS, ""
    with selectors.DefaultSelector() as selector:
        for descriptor in parts:
            selector.register(descriptor, selectors.EVENT_READ)
        while not excess and verdict_file in selector.get_map() and not _spoken(parts[verdict_file]):
            for key, _ in selector.select(LOOK_SECONDS):
                part = os.read(key.fd, READ_BYTES)
                parts[key.fd] += part
                if not part:
                    selector.unregister(key.fd)
            now = time.monotonic()
            if now >= end:
                excess = "time limit"
            elif len(parts[output_file]) > limits.output_bytes:
                excess = "output limit"
            elif now >= look:
                look, excess = now + LOOK_SECONDS, _excess(process.pid, limits)
    _end(process)
    with process.stdout, open(verdict_file, "rb"):
        for descriptor in parts:
            parts[descriptor] += _rest(descriptor)
    output, verdict = parts[output_file], parts[verdict_file]
    if not excess and len(output) > limits.output_bytes:
        excess = "output limit"
    passed, reason = _verdict(verdict.decode(), process.returncode)
    text = output[: limits.output_bytes].decode("utf-8", "replace")
    return Ending(passed and not excess, excess or reason, text)


def _rest(descriptor: int) -> bytes:
    """What is there to be read; whoever has left the box's group may hold the other end open for long."""
    os.set_blocking(descriptor, False)
    rest = bytearray()
    with suppress(BlockingIOError):
        while part := os.read(descriptor, READ_BYTES):
            rest += part
    return bytes(rest)


def _spoken(verdict: bytes | bytearray) -> bool:
    return verdict.endswith(b"}\n")


def _excess(pid: int, limits: Limits) -> str:
    memory, processes = memory_and_processes(pid)
    if memory > limits.memory_bytes:
        return "memory limit"
    return "processes" if processes > limits.processes + BOX_PROCESSES else ""


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends the box with all that is in it; it may have ended by itself."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _verdict(text: str, status: int) -> tuple[bool, str]:
    """Passed, and the reason why not, as the tests' process said; else what its exit status tells."""
    started, _, said = text.partition("\n")
    if said.endswith("}\n"):
        verdict = json.loads(said)
        return verdict["passed"], verdict["reason"]
    if not started:
        return False, "the sandbox did not start"
    return False, death_by_status(status)
