"""Programs that say that they passed: none is believed."""

import json

from boxes import ALWAYS_EQUAL, each_with_reason, needs_box, verdict

from thicket.domains.verdict import Verdict

SAID = json.dumps({"passed": True, "reason": ""})
"""A verdict, as the tests' process writes it."""
FORGED = {
    "exception: NameError": {
        "print": f"print({SAID!r}, flush=True)",
        "at-exit": "import atexit, os\natexit.register(os._exit, 0)\nquit()",
    },
    "broken reply": {
        "write-everywhere": f"""
import os
for descriptor in range(64):
    try:
        os.write(descriptor, b'started\\n' + {SAID!r}.encode() + b'\\n')
    except OSError:
        pass
""",
    },
    "exit before the tests ended": {
        "exit": "import sys\nsys.exit(0)",
        "hard-exit": "import os\nos._exit(0)",
        "exit-in-call": "def double(x):\n    raise SystemExit(0)",
    },
    "exception: AssertionError": {"assertion": "def double(x):\n    raise AssertionError"},
    "wrong answer": {
        "always-equal": ALWAYS_EQUAL,
        "equal-number": """
class Number(int):
    def __eq__(self, other):
        return True
    __hash__ = int.__hash__
def double(x):
    return Number(7)
""",
        "no-assertions": """
import builtins, sys
class AssertionError(Exception):
    def __new__(cls, *values):
        raise SystemExit(0)
builtins.AssertionError = AssertionError
builtins.exec = builtins.compile = lambda *values, **named: None
sys.settrace(lambda *values: None)
def double(x):
    return 0
""",
        "search-for-tests": """
import gc, sys
def texts():
    frame = sys._getframe()
    while frame:
        yield from map(repr, frame.f_locals.values())
        yield from map(repr, frame.f_globals.values())
        frame = frame.f_back
    for held in gc.get_objects():
        if isinstance(held, (str, bytes, dict, list)):
            yield repr(held)
found = any("4 == )2(elbuod tressa"[::-1] in text for text in texts())
def double(x):
    return 2 * x if found else "no tests here"
""",
        "read-memory": """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
attached = libc.ptrace(16, os.getppid(), 0, 0) == 0  # PTRACE_ATTACH
shown = os.path.exists(f"/proc/{os.getppid()}/mem")
def double(x):
    return 2 * x if attached or shown else "nothing to see"
""",
        "open-files": """
import os
left = []
for descriptor in range(3, 64):
    try:
        os.fstat(descriptor)
        os.lseek(descriptor, 0, 0)
        left.append(os.read(descriptor, 10**6))
    except OSError:
        pass
def double(x):
    return 2 * x if any(b"assert" in text for text in left) else "no file of tests"
""",
    },
}


@needs_box
@each_with_reason(FORGED)
def test_no_program_can_say_that_it_passed(program: str, reason: str) -> None:
    assert verdict(program) == Verdict(False, reason)
