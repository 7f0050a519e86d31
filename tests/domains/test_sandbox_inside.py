"""What a program finds in a box, and what it leaves behind: nothing of the machine, and nothing."""

import ast
import json
import os
import socket
import sys
from pathlib import Path

import pytest
from boxes import BOX, needs_box, verdict

from thicket.domains.sandbox import launch
from thicket.domains.sandbox.box import main
from thicket.domains.sandbox.run import run_program
from thicket.domains.verdict import Verdict

BOX_FOLDER = Path(main.__file__).parent
ROOT = Path(__file__).parents[2]
WAY = {str(path) for end in (Path(sys.base_prefix), BOX_FOLDER) for path in (end, *end.parents)}


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
