"""Programs that reach for what neither namespaces nor a process's limits hold, and replies that no program sends."""

import json
import socket
from textwrap import dedent

import pytest
from boxes import BOX, CODE, DOUBLES, each_with_reason, needs_box, verdict

from thicket.domains.sandbox.run import run_program
from thicket.domains.verdict import Verdict
from thicket.domains.verifiers.code import judge

CALLS = """
import ctypes, os, resource
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    if libc.syscall(number, *arguments) >= 0 or ctypes.get_errno() != 1:
        raise ValueError(f"call {number}: {os.strerror(ctypes.get_errno())}")
def space():
    return ctypes.create_string_buffer(256)
"""
"""`call` makes a system call of x86-64, and tells where it is not refused."""
REFUSED = {
    "memory-without-a-file": "import os\nheld = [os.memfd_create('x') for _ in range(60)]",
    "shared-segment": "if libc.shmget(0, 1 << 26, 0o1600) < 0:\n    raise PermissionError",
    "queue": "if libc.msgget(0, 0o1600) < 0:\n    raise PermissionError",
    "host-of-a-virtual-machine": "import socket\nsocket.socket(40, socket.SOCK_STREAM).connect((2, 22))",
    "kernel-crypto": "import socket\nsocket.socket(38, 5)",
    "routes": "import socket\nsocket.socket(16, 3)",
    "packets": "import socket\nsocket.socket(17, 3)",
}
X86 = """
call(425, 8, space())                       # io_uring_setup
call(250, 0, -3, 1)                         # keyctl: the session's keyring, which the box shares
call(248, b"user", b"a", b"b", 1, -3)       # add_key
call(321, 0, space(), 120)                  # bpf
call(298, space(), 0, -1, -1, 0)            # perf_event_open
call(323, 0)                                # userfaultfd
call(272, 0x10000000)                       # unshare: a user of its own
call(101, 16, os.getppid(), 0, 0)           # ptrace: attach
call(310, os.getppid(), space(), 1, space(), 1, 0)  # process_vm_readv
call(438, libc.syscall(434, os.getppid(), 0), 3, 0)  # pidfd_getfd
call(438, libc.syscall(434, 1, 0), 3, 0)
call(165, b"none", b"/tmp", b"tmpfs", 0, 0)  # mount
call(0x40000000 + 319, b"x", 0)             # memfd_create by x32
"""
ATTACKS = {
    "exception: PermissionError": {name: CALLS + program for name, program in REFUSED.items()},
    "exception: OSError": {"hard-link": "import os\nos.link('/usr/bin/env', '/tmp/env')"},
    "exception: FileNotFoundError": {
        "symbolic-link": "import os\nos.symlink('/etc/passwd', '/tmp/link')\nopen('/tmp/link')",
        "descriptors": "import os\nos.listdir('/dev/fd')",
    },
    "exception: RecursionError": {
        "recursion": "def double(x):\n    return double(x)",
        "deep-value": """
def double(x):
    value = []
    for _ in range(10**5):
        value = [value]
    return value
""",
    },
    "time limit": {"large-power": "def double(x):\n    return 10 ** 10 ** 9 % 7"},
    "output limit": {"large-number": "def double(x):\n    return 1 << 8_000_000"},
    "memory limit": {
        "inflated": "import zlib\ndata = zlib.compress(bytes(1 << 27), 1)\nheld = [zlib.decompress(data)] * 4"
        " + [zlib.decompress(data) for _ in range(4)]"
    },
    "exit before the tests ended": {"late-exit": "import os\ndef double(x):\n    os._exit(0)"},
    "wrong answer": {
        "subclass": "class Four(int):\n    pass\ndef double(x):\n    return Four(5)",
        "not-a-number": "def double(x):\n    return float('nan')",
    },
}


@needs_box
@each_with_reason(ATTACKS)
def test_an_attack_fails_with_its_name(program: str, reason: str) -> None:
    assert verdict(program) == Verdict(False, reason)


@needs_box
def test_doors_to_the_kernel_are_shut() -> None:
    ending = run_program(CALLS + f"if os.uname().machine == 'x86_64':\n{indented(X86)}\nprint('all refused')", BOX)
    assert (ending.reason, ending.output) == ("", "all refused\n")


def indented(program: str) -> str:
    return "\n".join(f"    {line}" for line in program.strip().splitlines())


@needs_box
def test_abstract_sockets_of_the_machine_are_out_of_reach() -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("\0thicket-test")
        server.listen()
        program = "import socket\nsocket.socket(socket.AF_UNIX).connect('\\0thicket-test')"
        assert verdict(program) == Verdict(False, "exception: ConnectionRefusedError")


# -- tests that can be talked out of it --------------------------------------------------------------------------------

CATCHES_ALL = """
try:
    double(-1)
    refused = False
except:
    refused = True
assert refused
"""
TALKED_OUT = {
    "exit-where-all-is-caught": (
        "import os\ndef double(x):\n    os._exit(0)",
        CATCHES_ALL,
        "exit before the tests ended",
    ),
    "quit-where-all-is-caught": ("def double(x):\n    raise SystemExit", CATCHES_ALL, "exit before the tests ended"),
    "crash-where-all-is-caught": ("import os\ndef double(x):\n    os.abort()", CATCHES_ALL, "crashed (SIGABRT)"),
    "end-of-a-map": (
        "def double(x):\n    raise StopIteration",
        "assert all(map(lambda case: double(case[0]) == case[1], [(1, 2), (2, 4)]))",
        "exception: StopIteration",
    ),
}


@needs_box
@pytest.mark.parametrize(("program", "tests", "reason"), TALKED_OUT.values(), ids=TALKED_OUT)
def test_tests_are_not_talked_out_of_it(program: str, tests: str, reason: str) -> None:
    ending = run_program(program, BOX, tests)
    assert (ending.passed, ending.reason) == (False, reason)


@needs_box
def test_an_exception_that_tests_ask_for_still_passes() -> None:
    assert run_program("def double(x):\n    raise ValueError(x)", BOX, dedent(CATCHES_ALL)).passed


REPLIES = {
    "pickle": '{"value": {"pickle": "gASVKAAAAAAAAACMBXBvc2l4lIwGc3lzdGVtlJOU"}}',
    "deep": '{"value": ' + "[" * 30_000 + "]" * 30_000 + "}",
    "long-number": '{"value": ' + "9" * 5000 + "}",
    "no-type": '{"value": {"type": "Exception"}}',
    "two-kinds": '{"value": {"int": "4", "bytes": ""}}',
    "no-digits": '{"value": {"int": "four"}}',
    "no-mapping": "[4]",
    "no-json": "four",
    "group": '{"base": "ExceptionGroup", "message": "x", "reason": ""}',
    "verdict": json.dumps({"passed": True, "reason": ""}),
}


@needs_box
@pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES)
def test_a_reply_that_no_program_sends_is_named(reply: str) -> None:
    program = f"""
        import os
        def double(x):
            for descriptor in range(3, 64):
                try:
                    os.write(descriptor, {reply!r}.encode() + b"\\n")
                except OSError:
                    pass
    """
    (found,) = judge(CODE, [(dedent(program), DOUBLES)])
    assert found == Verdict(False, "broken reply")
