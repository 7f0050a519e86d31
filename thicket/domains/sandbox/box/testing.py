"""The tests' process: runs the tests, and asks the program's process for whatever they need of it.

It believes nothing of that process but the values: a value is plain data, and passes where the tests say so.
"""

from __future__ import annotations

import ast
import builtins
import json
import os

from thicket.domains.sandbox.box.confine import death, reason_of
from thicket.domains.sandbox.box.plain import decode, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TextIO

REASON_CHARACTERS = 80
"""Longest reason that the program's process is heard with; it may say anything."""
EARLY = "exit before the tests ended"
BROKEN = "broken reply"
"""The program's process said something that `program` never says."""


ENDS_LOOPS = (StopIteration, StopAsyncIteration)
"""Exceptions that would end a `map` of the tests' early, as if it had gone through all cases."""


class Ended(BaseException):
    """The program's process says no more: the tests can't go on, whatever they catch."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Raised:
    """Marks an exception as the program's, not the tests'."""

    reason = ""


class Program:
    """The program's process, as the tests' process talks to it."""

    def __init__(self, requests: TextIO, replies: TextIO, pid: int, limits: dict[str, Any]) -> None:
        self._requests, self._replies, self._pid, self._limits = requests, replies, pid, limits
        self._over: Ended | None = None

    def ask(self, request: dict[str, Any]) -> Any:
        """The value that answers a request; see `hear`."""
        try:
            self._requests.write(json.dumps(request) + "\n")
            self._requests.flush()
        except BrokenPipeError:
            pass  # It ended; `hear` says how.
        return self.hear()

    def hear(self) -> Any:
        """The value of a reply. Raises: the program's exception, as `Raised`; Ended where it says no more.

        Tests may catch all and go on (`except:`): from then on every question ends so.
        """
        self.check()
        try:
            return self._heard()
        except Ended as ended:
            self._over = ended
            raise

    def check(self) -> None:
        """Raises: Ended where the program's process has said no more before."""
        if self._over is not None:
            raise self._over

    def _heard(self) -> Any:
        reply = self._reply()
        if reply is None or "ended" in reply:
            raise Ended(EARLY if reply else self.end() or EARLY)
        try:
            if "value" in reply:
                return decode(reply["value"], lambda number: Remote(self, number))
            error = raised(reply)
        except Exception:  # Whatever a program may send in place of a reply.
            raise Ended(BROKEN) from None
        raise error

    def watch(self) -> str:
        """Waits for the end of a whole program. The name of what ended it; empty where it ended by itself."""
        reply = self._reply()
        return self.end() if reply is None else _reason(reply)

    def end(self) -> str:
        """Waits for the process's end. The name of the signal or limit that ended it; empty where it exited."""
        _, status, usage = os.wait4(self._pid, 0)
        if not os.WIFSIGNALED(status):
            return ""
        return death(os.WTERMSIG(status), usage.ru_utime + usage.ru_stime, self._limits)

    def _reply(self) -> dict[str, Any] | None:
        """A reply; null where the process has ended. Raises: Ended for one that is too long, or none."""
        line = self._replies.readline(self._limits["output_bytes"] + 1)
        if len(line) > self._limits["output_bytes"]:
            raise Ended("output limit")
        if not line.endswith("\n"):
            return None
        try:
            return dict(json.loads(line))
        except Exception:
            raise Ended(BROKEN) from None


class Remote:
    """Stands for a function, class or object in the program's process. It equals nothing but itself."""

    def __init__(self, program: Program, number: int) -> None:
        self.__dict__.update(_program=program, _number=number)

    def __call__(self, *positional: Any, **named: Any) -> Any:
        return self._program.ask({"of": self._number, "call": encode((positional, named), _number_of)})

    def __getattr__(self, name: str) -> Any:
        return self._program.ask({"of": self._number, "attribute": name})

    def __setattr__(self, name: str, value: Any) -> None:
        self._program.ask({"of": self._number, "attribute": name, "value": encode(value, _number_of)})


def _number_of(value: Any) -> int:
    """The number of what came from the program's process and now goes back."""
    if not isinstance(value, Remote):
        raise TypeError(f"a {type(value).__name__} can't be given to the program: it is no plain data")
    return value._number


def _reason(reply: dict[str, Any]) -> str:
    return str(reply.get("reason", ""))[:REASON_CHARACTERS] or BROKEN


def raised(reply: dict[str, Any]) -> Exception:
    """The exception that the program raised, of the same builtin type, so that the tests can catch it."""
    base = getattr(builtins, str(reply["base"]), None)
    if not (isinstance(base, type) and issubclass(base, Exception)) or issubclass(base, ENDS_LOOPS):
        base = RuntimeError
    kind: Any = type(base.__name__, (Raised, base), {})
    error = kind.__new__(kind, reply["message"])  # Not called: some types want more than a message.
    error.reason = _reason(reply)
    return error


def asked_names(source: str) -> list[str]:
    """The names in the tests that Python doesn't have: the program's, or the tests' own, which come to stand over it.

    A program's `set` or `sorted` is none of the tests' business, but where these know no other name, as in
    `assert sum(10, 15) == 6` (MBPP 126), it is such a function that they test.
    """
    names = {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}
    return sorted(names - set(dir(builtins)) or names)


def run_tests(tests: str, program: Program) -> tuple[bool, str]:
    """Runs the tests. Returns whether they passed, and the reason why not."""
    namespace: dict[str, Any] = {"__name__": "tests"}
    try:
        program.hear()
        for name in asked_names(tests):
            found, value = program.ask({"name": name})
            if found:
                namespace[name] = value
        exec(compile(tests, "<tests>", "exec", dont_inherit=True), namespace)
        program.check()
    except BaseException as error:
        if isinstance(error, Ended | Raised):
            return False, error.reason
        return False, "wrong answer" if isinstance(error, AssertionError) else reason_of(error)
    return True, ""
