"""The program's process: runs the program, and answers the tests' process, which alone knows the tests.

A name that is looked up, or a value that a call returns, goes over as plain data. Whatever is none stays here under a
number, by which the tests' process can call it or ask for its attributes.
"""

from __future__ import annotations

import json
import os
import sys
import types

from thicket.domains.sandbox.box.confine import reason_of
from thicket.domains.sandbox.box.plain import decode, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TextIO

MESSAGE_CHARACTERS = 1000
"""Longest message of an exception that reaches the tests."""


def serve(source: str, requests: TextIO, replies: TextIO) -> None:
    """Runs the program, then answers requests until there are no more."""
    module = types.ModuleType("program")
    kept: list[Any] = []

    def keep(value: Any) -> int:
        kept.append(value)
        return len(kept) - 1

    def answer(request: dict[str, Any]) -> Any:
        if "name" in request:
            found = hasattr(module, request["name"])
            return encode((found, getattr(module, request["name"], None)), keep)
        target = kept[request["of"]]
        if "value" in request:
            return setattr(target, request["attribute"], decode(request["value"], kept.__getitem__))
        if "attribute" in request:
            return encode(getattr(target, request["attribute"]), keep)
        positional, named = decode(request["call"], kept.__getitem__)
        return encode(target(*positional, **named), keep)

    _say(replies, lambda: execute(source, module))
    for line in requests:
        request = json.loads(line)
        _say(replies, lambda request=request: answer(request))
    os._exit(0)


def run_script(source: str, requests: TextIO, replies: TextIO) -> None:
    """Runs a whole program as Python would, to its end; tells the name of an exception."""
    requests.close()
    try:
        execute(source, types.ModuleType("__main__"))
        sys.stdout.flush()
    except SystemExit:
        raise
    except BaseException as error:
        _write(replies, _failure(error))


def execute(source: str, module: types.ModuleType) -> None:
    """Runs a program as a module."""
    sys.modules[module.__name__] = module
    exec(compile(source, "<program>", "exec", dont_inherit=True), module.__dict__)


def _say(replies: TextIO, act: Callable[[], Any]) -> None:
    try:
        reply = {"value": act()}
        json.dumps(reply)
    except BaseException as error:
        reply = _failure(error)
    _write(replies, reply)


def _write(replies: TextIO, reply: dict[str, Any]) -> None:
    replies.write(json.dumps(reply) + "\n")
    replies.flush()


def _failure(error: BaseException) -> dict[str, Any]:
    """What the tests' process hears of an exception: the builtin type that it is or comes from, and its message."""
    if isinstance(error, SystemExit):
        return {"ended": True}
    base = next(kind.__name__ for kind in type(error).__mro__ if kind.__module__ == "builtins")
    return {"reason": reason_of(error), "base": base, "message": str(error)[:MESSAGE_CHARACTERS]}
