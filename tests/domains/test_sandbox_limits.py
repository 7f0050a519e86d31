"""Programs that attack the limits: each fails with its named reason, and the next program is judged as ever."""

import time

import pytest
from boxes import ALWAYS_EQUAL, CODE, DOUBLES, GOOD, LIMITS, each_with_reason, needs_box, verdict

from thicket.config.verifier import CodeVerifier
from thicket.domains.sandbox import launch
from thicket.domains.verdict import Verdict
from thicket.domains.verifiers.code import judge

HASTY = CodeVerifier(type="code", limits=LIMITS.model_copy(update={"wall_seconds": 1.5}))
"""For programs that take all the time that they are given."""
LOOP = "while True:\n    pass"
TEN_GIGABYTES = "held = bytearray(10 * 2**30)"
LARGE_FILE = """
with open("/tmp/large", "wb") as file:
    for _ in range(100):
        file.write(bytes(1 << 20))
"""
TO_PARENT = "import os, signal\nos.kill(os.getppid(), signal.{signal})\n" + GOOD
ATTACKS = {
    "processes": {
        "fork-bomb": """
import os
while True:
    os.fork()
""",
        "threads": """
import threading, time
while True:
    threading.Thread(target=time.sleep, args=(60,)).start()
""",
    },
    "time limit": {
        "silent-fork-bomb": """
import os
while True:
    try:
        os.fork()
    except OSError:
        pass
""",
        "endless-loop": LOOP,
        "deaf-loop": """
import signal
signal.signal(signal.SIGXCPU, signal.SIG_IGN)
while True:
    pass
""",
        "sleep": "import time\ntime.sleep(1000)",
        "stop-parent": TO_PARENT.format(signal="SIGSTOP"),
    },
    "memory limit": {
        "ten-gigabytes": TEN_GIGABYTES,
        "memory-of-many": """
import os, time
for _ in range(8):
    if os.fork() == 0:
        held = bytearray(150 * 2**20)
        time.sleep(60)
time.sleep(60)
""",
    },
    "disk": {
        "full-disk": """
for number in range(10**6):
    with open(f"/tmp/{number}", "wb") as file:
        file.write(bytes(100_000))
""",
        "large-file": LARGE_FILE,
    },
    "output limit": {
        "output": "while True:\n    print('x' * 1000)",
        "long-value": "def double(x):\n    return 'x' * 10**6",
    },
    "exception: OSError": {
        "open-files": """
import os
held = []
while True:
    held.append(os.open("/dev/null", os.O_RDONLY))
""",
    },
    "exception: PermissionError": {
        "user-namespace": """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
if libc.unshare(0x10020000) != 0:  # a user of its own, who could mount what it likes
    raise PermissionError(ctypes.get_errno())
""",
    },
    "crashed (SIGSEGV)": {"crash": "import ctypes\nctypes.string_at(0)"},
    "crashed (SIGKILL)": {
        "kill-parent": TO_PARENT.format(signal="SIGKILL"),
        "kill-all": "import os, signal\nos.kill(-1, signal.SIGKILL)\n" + GOOD,
    },
    "exception: EOFError": {"standard-input": "input()"},
    "exception: SyntaxError": {"no-program": "def double(x:"},
    "exception: ZeroDivisionError": {"exception": "def double(x):\n    return 1 / 0"},
    "wrong answer": {"wrong": "def double(x):\n    return 3 * x"},
    "no program": {"empty": ""},
}


@needs_box
@each_with_reason(ATTACKS)
def test_an_attack_fails_with_its_name(program: str, reason: str) -> None:
    assert verdict(program, HASTY if reason == "time limit" else CODE) == Verdict(False, reason)


# -- without a box -----------------------------------------------------------------------------------------------------


@pytest.fixture
def no_bubblewrap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "box_problem", lambda: "there is no program `bwrap` here")


@pytest.mark.usefixtures("no_bubblewrap")
def test_without_bubblewrap_code_is_refused() -> None:
    with pytest.raises(ValueError, match=r"bubblewrap: there is no program `bwrap` here\. Install bubblewrap"):
        judge(CODE, [(GOOD, DOUBLES)])


@pytest.mark.usefixtures("no_bubblewrap")
@pytest.mark.parametrize(
    ("program", "expected"),
    [
        (GOOD, Verdict(True)),
        (ALWAYS_EQUAL, Verdict(False, "wrong answer")),
        (LOOP, Verdict(False, "time limit")),
        (TEN_GIGABYTES, Verdict(False, "memory limit")),
        (LARGE_FILE, Verdict(False, "disk")),
        ("import os\nos.environ['SECRET_TOKEN']", Verdict(False, "exception: KeyError")),
    ],
    ids=["right", "forged", "endless-loop", "ten-gigabytes", "large-file", "environment"],
)
def test_the_weaker_isolation_has_the_limits(program: str, expected: Verdict, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    weaker = CodeVerifier(type="code", limits=LIMITS, isolation="rlimits")
    assert judge(weaker, [(program.replace("/tmp/", ""), DOUBLES)]) == [expected]


def test_who_leaves_the_group_of_the_weaker_isolation_keeps_nobody_waiting() -> None:
    """Nothing there can end it; but its open end of the output is not waited for."""
    leaves = "import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(12)\n" + LOOP
    limits = LIMITS.model_copy(update={"cpu_seconds": 5, "wall_seconds": 1.0})
    started = time.monotonic()
    found = judge(CodeVerifier(type="code", limits=limits, isolation="rlimits"), [(leaves, DOUBLES)])
    assert [one.reason for one in found] == ["time limit"]
    assert time.monotonic() - started < 8
