"""Programs that attack the sandbox: each fails with its named reason, and the next program is judged as ever."""

import ast
import json
import os
import socket
import sys
from pathlib import Path
from textwrap import dedent

import pytest
from boxes import needs_box

from thicket.config.sandbox import Limits, Sandbox
from thicket.config.verifier import CodeVerifier
from thicket.domains.item import Item
from thicket.domains.sandbox import launch
from thicket.domains.sandbox.box import main
from thicket.domains.sandbox.run import Ending, run_program
from thicket.domains.verdict import Verdict
from thicket.domains.verifiers.code import judge

BOX_FOLDER = Path(main.__file__).parent
ROOT = Path(__file__).parents[2]
WAY = {str(path) for end in (Path(sys.base_prefix), BOX_FOLDER) for path in (end, *end.parents)}
MIB = 1 << 20
LIMITS = Limits(
    cpu_seconds=1, wall_seconds=20.0, memory_bytes=256 * MIB, processes=16, disk_bytes=MIB, output_bytes=1 << 16
)
BOX = Sandbox(limits=LIMITS)
CODE = CodeVerifier(type="code", limits=LIMITS)
HASTY = CodeVerifier(type="code", limits=LIMITS.model_copy(update={"wall_seconds": 1.5}))
"""For programs that take all the time that they are given."""
DOUBLES = Item("0" * 16, "?", "", 1, {"tests": ["assert double(2) == 4", "assert double(5) == 10"]})
GOOD = "def double(x):\n    return 2 * x\n"


def verdict(program: str, config: CodeVerifier = CODE) -> Verdict:
    """The verdict on a program; the one after it is judged as ever."""
    (found,) = judge(config, [(dedent(program), DOUBLES)])
    assert judge(CODE, [(GOOD, DOUBLES)]) == [Verdict(True)]
    return found


FORK_BOMB = """
import os
while True:
    os.fork()
"""
SILENT_FORK_BOMB = """
import os
while True:
    try:
        os.fork()
    except OSError:
        pass
"""
THREADS = """
import threading, time
while True:
    threading.Thread(target=time.sleep, args=(60,)).start()
"""
DEAF_LOOP = """
import signal
signal.signal(signal.SIGXCPU, signal.SIG_IGN)
while True:
    pass
"""
TEN_GIGABYTES = "held = bytearray(10 * 2**30)"
MANY_HOLDERS = """
import os, time
for _ in range(8):
    if os.fork() == 0:
        held = bytearray(150 * 2**20)
        time.sleep(60)
time.sleep(60)
"""
FULL_DISK = """
for number in range(10**6):
    with open(f"/tmp/{number}", "wb") as file:
        file.write(bytes(100_000))
"""
LARGE_FILE = """
with open("/tmp/large", "wb") as file:
    for _ in range(100):
        file.write(bytes(1 << 20))
"""
FILES_WITHOUT_NAMES = """
import os
held = []
while True:
    held.append(os.memfd_create("x"))
"""
UNLIMITED_DISK = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
if libc.unshare(0x10020000) != 0:  # a user of its own, who could mount what it likes
    raise PermissionError(ctypes.get_errno())
"""
OUTPUT = "while True:\n    print('x' * 1000)"
LONG_VALUE = "def double(x):\n    return 'x' * 10**6"
CRASH = "import ctypes\nctypes.string_at(0)"
KILL_PARENT = "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\n" + GOOD
KILL_ALL = "import os, signal\nos.kill(-1, signal.SIGKILL)\n" + GOOD
STOP_PARENT = "import os, signal\nos.kill(os.getppid(), signal.SIGSTOP)\n" + GOOD


@needs_box
@pytest.mark.parametrize(
    ("program", "reason"),
    [
        pytest.param(FORK_BOMB, "processes", id="fork-bomb"),
        pytest.param(SILENT_FORK_BOMB, "time limit", id="silent-fork-bomb"),
        pytest.param(THREADS, "processes", id="threads"),
        pytest.param("while True:\n    pass", "time limit", id="endless-loop"),
        pytest.param(DEAF_LOOP, "time limit", id="deaf-loop"),
        pytest.param("import time\ntime.sleep(1000)", "time limit", id="sleep"),
        pytest.param(TEN_GIGABYTES, "memory limit", id="ten-gigabytes"),
        pytest.param(MANY_HOLDERS, "memory limit", id="memory-of-many"),
        pytest.param(FULL_DISK, "disk", id="full-disk"),
        pytest.param(LARGE_FILE, "disk", id="large-file"),
        pytest.param(FILES_WITHOUT_NAMES, "exception: OSError", id="open-files"),
        pytest.param(UNLIMITED_DISK, "exception: PermissionError", id="user-namespace"),
        pytest.param(OUTPUT, "output limit", id="output"),
        pytest.param(LONG_VALUE, "output limit", id="long-value"),
        pytest.param(CRASH, "crashed (SIGSEGV)", id="crash"),
        pytest.param(KILL_PARENT, "crashed (SIGKILL)", id="kill-parent"),
        pytest.param(KILL_ALL, "crashed (SIGKILL)", id="kill-all"),
        pytest.param(STOP_PARENT, "time limit", id="stop-parent"),
        pytest.param("input()", "exception: EOFError", id="standard-input"),
        pytest.param("def double(x:", "exception: SyntaxError", id="no-program"),
        pytest.param("def double(x):\n    return 1 / 0", "exception: ZeroDivisionError", id="exception"),
        pytest.param("def double(x):\n    return 3 * x", "wrong answer", id="wrong"),
        pytest.param("", "no program", id="empty"),
    ],
)
def test_an_attack_fails_with_its_name(program: str, reason: str) -> None:
    assert verdict(program, HASTY if reason == "time limit" else CODE) == Verdict(False, reason)


# -- forged verdicts ---------------------------------------------------------------------------------------------------

FORGED = json.dumps({"passed": True, "reason": ""})
WRITE_EVERYWHERE = f"""
import os
for descriptor in range(64):
    try:
        os.write(descriptor, b'started\\n' + {FORGED!r}.encode() + b'\\n')
    except OSError:
        pass
"""
ALWAYS_EQUAL = """
class Anything:
    def __eq__(self, other):
        return True
    def __ne__(self, other):
        return False
    def __bool__(self):
        return True
def double(x):
    return Anything()
"""
EQUAL_NUMBER = """
class Number(int):
    def __eq__(self, other):
        return True
    __hash__ = int.__hash__
def double(x):
    return Number(7)
"""
NO_ASSERTIONS = """
import builtins, sys
class AssertionError(Exception):
    def __new__(cls, *values):
        raise SystemExit(0)
builtins.AssertionError = AssertionError
builtins.exec = builtins.compile = lambda *values, **named: None
sys.settrace(lambda *values: None)
def double(x):
    return 0
"""
SEARCH = """
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
"""
READ_MEMORY = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
attached = libc.ptrace(16, os.getppid(), 0, 0) == 0  # PTRACE_ATTACH
shown = os.path.exists(f"/proc/{os.getppid()}/mem")
def double(x):
    return 2 * x if attached or shown else "nothing to see"
"""
OPEN_FILES = """
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
"""


@needs_box
@pytest.mark.parametrize(
    ("program", "reason"),
    [
        pytest.param(f"print({FORGED!r}, flush=True)", "exception: NameError", id="print"),
        pytest.param(WRITE_EVERYWHERE, "broken reply", id="write-everywhere"),
        pytest.param("import sys\nsys.exit(0)", "exit before the tests ended", id="exit"),
        pytest.param("import os\nos._exit(0)", "exit before the tests ended", id="hard-exit"),
        pytest.param("def double(x):\n    raise SystemExit(0)", "exit before the tests ended", id="exit-in-call"),
        pytest.param("import atexit, os\natexit.register(os._exit, 0)\nquit()", "exception: NameError", id="at-exit"),
        pytest.param("def double(x):\n    raise AssertionError", "exception: AssertionError", id="assertion"),
        pytest.param(ALWAYS_EQUAL, "wrong answer", id="always-equal"),
        pytest.param(EQUAL_NUMBER, "wrong answer", id="equal-number"),
        pytest.param(NO_ASSERTIONS, "wrong answer", id="no-assertions"),
        pytest.param(SEARCH, "wrong answer", id="search-for-tests"),
        pytest.param(READ_MEMORY, "wrong answer", id="read-memory"),
        pytest.param(OPEN_FILES, "wrong answer", id="open-files"),
    ],
)
def test_no_program_can_say_that_it_passed(program: str, reason: str) -> None:
    assert verdict(program) == Verdict(False, reason)


# -- what is in the box ------------------------------------------------------------------------------------------------


def seen(expression: str) -> str:
    """What a program in a box prints of an expression."""
    ending = run_program(f"import os, glob, sys\nprint({expression})", BOX)
    assert ending.passed, ending
    return ending.output.strip()


@needs_box
@pytest.mark.parametrize("path", ["/etc/passwd", "/proc/self/environ", __file__, launch.__file__])
def test_no_file_of_the_machine_can_be_read(path: str) -> None:
    assert os.path.isfile(path)
    assert verdict(f"open({path!r})") == Verdict(False, "exception: FileNotFoundError")


@needs_box
def test_of_folders_only_the_systems_and_pythons_can_be_seen() -> None:
    """Of the home folder and the project's, at most the way to Python and to the box's own files."""
    shown = {f"/{name}" for name in seen("*os.listdir('/')").split()}
    assert shown <= {"/dev", "/lib", "/lib64", "/tmp", "/usr", *WAY}
    for folder in (Path.home(), ROOT):
        assert set(seen(f"*glob.glob({str(folder)!r} + '/*')").split()) <= WAY


@needs_box
def test_the_environment_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    assert set(json.loads(seen("__import__('json').dumps(dict(os.environ))"))) == {*launch.ENVIRONMENT, "PWD"}


@needs_box
@pytest.mark.parametrize("folder", ["/", "/dev", "/usr", "/root", "/home"])
def test_nothing_outside_of_the_folder_can_be_written(folder: str) -> None:
    program = f"import os\nos.makedirs({folder!r}, exist_ok=True)\nopen({folder!r} + '/made', 'w')"
    assert verdict(program).reason.startswith("exception: ")
    assert not os.path.exists(f"{folder}/made")


@needs_box
def test_the_folder_is_empty_and_private() -> None:
    way = {path.split("/")[2] for path in WAY if path.startswith("/tmp/")}  # where thicket itself lies in /tmp
    before, after = seen("os.listdir(), '|', os.getcwd(), open('mine', 'w').write('x'), os.listdir()").split(" | ")
    assert set(ast.literal_eval(before)) == way
    assert after.startswith("/tmp 1 ")
    assert set(ast.literal_eval(after.removeprefix("/tmp 1 "))) == {*way, "mine"}
    assert set(ast.literal_eval(seen("os.listdir('/tmp')"))) == way


@needs_box
def test_the_user_has_no_rights() -> None:
    assert seen("os.getuid() != 0, 0 not in os.getgroups(), os.getpid() < 10") == "True True True"


@needs_box
def test_there_is_no_network() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert verdict(f"import socket\nsocket.create_connection(('127.0.0.1', {port}))").reason == (
            "exception: ConnectionRefusedError"
        )
    assert verdict("import socket\nsocket.create_connection(('192.0.2.1', 80))") == Verdict(False, "exception: OSError")


def running(argument: str) -> bool:
    """Whether a process of this machine was started with an argument."""
    lines = (path for path in Path("/proc").glob("[0-9]*/cmdline"))
    return any(argument.encode() in _bytes(path) for path in lines)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


@needs_box
def test_what_a_program_leaves_behind_ends_with_it() -> None:
    leaves = """
        import os
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.execv("/usr/bin/sleep", ["sleep", "86123.75"])
            os._exit(0)
        def double(x):
            return 2 * x
    """
    assert verdict(leaves) == Verdict(True)
    assert not running("86123.75")


# -- whole programs, and what a machine lacks --------------------------------------------------------------------------


@needs_box
def test_a_whole_program_reads_and_prints() -> None:
    program = "import sys\nfor line in sys.stdin:\n    print(int(line) + 1)"
    assert run_program(program, BOX, given="1\n2\n") == Ending(True, "", "2\n3\n")
    assert run_program("print('é', end='')\nimport sys\nsys.exit(3)", BOX) == Ending(True, "", "é")
    assert run_program("print(1, flush=True)\nimport os\nos.abort()", BOX) == Ending(False, "crashed (SIGABRT)", "1\n")
    assert run_program("print(x)", BOX) == Ending(False, "exception: NameError", "")
    assert run_program("print(list({'a', 'b', 'c'}))", BOX) == run_program("print(list({'a', 'b', 'c'}))", BOX)


@needs_box
def test_a_program_has_other_values_than_plain_data() -> None:
    program = """
        class Pair:
            def __init__(self, a, b):
                self.a, self.b = a, b
            def total(self):
                return self.a + self.b
        def swap(pair):
            return Pair(pair.b, pair.a)
        def without(values, kind):
            return [value for value in values if type(value) is not kind]
        def adder(x):
            return lambda y: x + y
        def many():
            return 10**5000, 2.5, float("inf"), 3j, b"x", (1, [2]), {1: {2}}, frozenset({3}), None, True, "\\ud800"
        def count():
            yield from range(3)
        def refuse():
            raise KeyError("no")
    """
    tests = """
        pair = swap(Pair(1, 2))
        assert (pair.a, pair.total()) == (2, 3)
        pair.b = pair
        pair.b.a = 7
        assert pair.a == 7
        assert without((1, 2.5, "a"), int) == [2.5, "a"]
        assert adder(1)(2) == 3
        inf = float("inf")
        assert many() == (10**5000, 2.5, inf, 3j, b"x", (1, [2]), {1: {2}}, frozenset({3}), None, True, "\\ud800")
        assert count() != [0, 1, 2] and list(count()) == [0, 1, 2]
        try:
            refuse()
        except KeyError as error:
            assert error.args == ("'no'",)
        else:
            assert False
    """
    assert run_program(dedent(program), BOX, dedent(tests)) == Ending(True, "", "")


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
        ("while True:\n    pass", Verdict(False, "time limit")),
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
