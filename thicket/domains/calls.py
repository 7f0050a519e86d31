"""The program that a worker runs: reads arguments, calls a function, writes what came of it, a JSON line each.

With a sandbox it is in the box already; each call then has a process of its own, forked after the function has been
imported, with the sandbox's limits. So text that misbehaves can spoil its own outcome and no other.
"""

import importlib
import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from thicket.config.sandbox import Sandbox
from thicket.domains.sandbox.box.confine import confine, death, reason_of, shut_memory
from thicket.signals import die_with_parent

READ_BYTES = 1 << 16
"""What is read at once: what a pipe holds."""

Function = Callable[..., Any]
Reply = dict[str, Any]


def imported(name: str) -> Function:
    """`package.module:name` → the function. Raises: ValueError where there is none, or a package is missing.

    A module's function `prepare`, where it has one, is called once: for imports that all calls share.
    """
    module_name, _, function = name.partition(":")
    try:
        module = importlib.import_module(module_name)
        getattr(module, "prepare", lambda: None)()
        return getattr(module, function)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"the function {name} can't be imported: {error}") from None


def called(function: Function, arguments: dict[str, Any]) -> Reply:
    """What came of a call; a value that JSON can't hold is an exception too."""
    try:
        return json.loads(json.dumps({"value": function(**arguments)}))
    except Exception as error:
        return {"reason": reason_of(error)}


def called_apart(function: Function, sandbox: Sandbox, mine: list[int], arguments: dict[str, Any]) -> Reply:
    """As `called`, in a process of its own with the sandbox's limits; `mine` are descriptors that it closes first."""
    receive, send = os.pipe()
    pid = os.fork()
    if pid == 0:
        for descriptor in (receive, *mine):
            os.close(descriptor)
        os.setsid()
        confine(sandbox.limits.model_dump(), sandbox.isolation == "bubblewrap")
        with open(send, "w") as file:
            file.write(json.dumps(called(function, arguments)) + "\n")
        os._exit(0)
    os.close(send)
    text, excess = _received(receive, sandbox)
    os.close(receive)
    _end_others(pid, sandbox)
    _, status = os.waitpid(pid, 0)
    if excess:
        return {"reason": excess}
    try:
        reply = json.loads(text)
        return {"reason": str(reply["reason"])} if "reason" in reply else {"value": reply["value"]}
    except (ValueError, TypeError, KeyError):  # It died before all was written, or the text in it wrote another thing.
        return {"reason": death(os.WTERMSIG(status))}


def _received(receive: int, sandbox: Sandbox) -> tuple[bytes, str]:
    """The line that the process writes before it ends, and the limit that it passed, if any.

    Forks that the call has made write theirs too, maybe at once: the first line counts.
    """
    text, end = b"", time.monotonic() + sandbox.limits.wall_seconds
    while len(text) <= sandbox.limits.output_bytes:
        line, ended, _ = text.partition(b"\n")
        if ended:
            return line, ""
        if not select.select([receive], [], [], max(0.0, end - time.monotonic()))[0]:
            return text, "time limit"
        part = os.read(receive, READ_BYTES)
        if not part:
            return text, ""
        text += part
    return text, "output limit"


def _end_others(pid: int, sandbox: Sandbox) -> None:
    """Ends the call's process and what it started: in a box all but this process, elsewhere its session."""
    with suppress(ProcessLookupError):
        os.kill(-1 if sandbox.isolation == "bubblewrap" else -pid, signal.SIGKILL)


def main(name: str, sandbox: Sandbox | None) -> None:
    """Imports the function, says so or what is wrong, and serves calls until the standard input ends."""
    requests, replies = os.fdopen(os.dup(0), encoding="utf-8"), os.fdopen(os.dup(1), "w", encoding="utf-8")
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)

    def reply(said: Reply) -> None:
        replies.write(json.dumps(said) + "\n")
        replies.flush()

    try:
        function = imported(name)
    except ValueError as error:
        return reply({"problem": str(error)})
    call = partial(called, function)
    if sandbox is not None:
        shut_memory()
        call = partial(called_apart, function, sandbox, [requests.fileno(), replies.fileno()])
    reply({"problem": ""})
    for line in requests:
        reply(call(json.loads(line)))


if __name__ == "__main__":
    die_with_parent()
    main(sys.argv[1], Sandbox.model_validate_json(sys.argv[2]) if len(sys.argv) > 2 else None)
