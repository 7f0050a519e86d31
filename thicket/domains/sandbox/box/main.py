"""Starts the two processes of a box: the program's is forked before this one has read any test."""

from __future__ import annotations

import json
import os
import sys

from thicket.domains.sandbox.box.confine import confine, shut_memory
from thicket.domains.sandbox.box.program import run_script, serve
from thicket.domains.sandbox.box.testing import Ended, Program, run_tests

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

STARTED = b"started\n"


def main(settings: dict[str, Any], program_file: int, tests_file: int, verdict_file: int) -> None:
    """Runs a program, and its tests against it; writes what came of it to the verdict's file.

    settings: `limits`, `boxed`, and `script`, where the program is run as a whole, without tests.
    The files are descriptors; the program's process closes those of the tests and of the verdict before all else.
    """
    shut_memory()
    confine(settings["limits"], settings["boxed"])
    os.write(verdict_file, STARTED)
    requests_in, requests_out = os.pipe()
    replies_in, replies_out = os.pipe()
    pid = os.fork()
    if pid == 0:
        for descriptor in (verdict_file, tests_file, requests_out, replies_in):
            os.close(descriptor)
        del sys.argv[1:]
        act = run_script if settings["script"] else serve
        act(_text(program_file), os.fdopen(requests_in), os.fdopen(replies_out, "w"))
        return
    for descriptor in (program_file, requests_in, replies_out):
        os.close(descriptor)
    program = Program(os.fdopen(requests_out, "w"), os.fdopen(replies_in), pid, settings["limits"])
    passed, reason = _watched(program) if settings["script"] else run_tests(_text(tests_file), program)
    os.write(verdict_file, json.dumps({"passed": passed, "reason": reason}).encode() + b"\n")
    os._exit(0)


def _watched(program: Program) -> tuple[bool, str]:
    try:
        reason = program.watch()
    except Ended as ended:
        reason = ended.reason
    return reason == "", reason


def _text(descriptor: int) -> str:
    with open(descriptor, encoding="utf-8") as file:
        return file.read()
