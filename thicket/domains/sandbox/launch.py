"""The command line that starts Python in a box."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from thicket.config.sandbox import Sandbox

SYSTEM = ("/usr", "/lib", "/lib64")
"""The system's libraries: what Python is linked against."""
BWRAP = ("bwrap", "--die-with-parent")
BARE_PYTHON = (os.path.realpath(sys.executable), "-B", "-s", "-S", "-P")
"""The Python that thicket's environment was made from, without installed packages."""
DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom")
FOREIGN = "65534"
"""The user and group `nobody` of Linux: owns nothing. The limit on processes counts for every user but root."""
STAGE = "/tmp"
"""Where root lays out, in a view of the file system of its own, what the foreign user can't reach by its path."""
ENVIRONMENT = {"PATH": "/usr/bin", "HOME": "/tmp", "LANG": "C.UTF-8", "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1"}
"""All variables in a box. With the hash seed, sets have the same order in every run."""
TRIAL_SECONDS = 20.0
"""How long the trial of a box may take; it takes about 0.03 s on an idle machine."""


def boxed(command: Sequence[str], sandbox: Sandbox, folders: Sequence[Path]) -> list[str]:
    """The command line that runs a command of Python in a box.

    folders: shown in the box, read-only, where they are outside of it, beside the system's libraries and Python's own.
    """
    if sandbox.isolation == "rlimits":
        return list(command)
    shown = [path for path in (Path(sys.base_prefix), *folders) if not path.is_relative_to("/usr")]
    size = sandbox.limits.disk_bytes
    if os.geteuid() != 0:
        return [*_box([(str(path), path) for path in shown], size), *command]
    # A view in which the folders can be reached; in it, another user; as that one, the box. The user comes before the
    # box, since Linux doesn't hold root to a number of processes, whatever it is called in a box.
    staged = [(f"{STAGE}/{number}", path) for number, path in enumerate(shown)]
    view = [*BWRAP, "--dev-bind", "/", "/", "--tmpfs", STAGE]
    for place, path in staged:
        view += ["--ro-bind", str(path), place]
    user = ["setpriv", f"--reuid={FOREIGN}", f"--regid={FOREIGN}", "--clear-groups"]
    return [*view, *user, *_box(staged, size), *command]


def _box(folders: list[tuple[str, Path]], disk_bytes: int) -> list[str]:
    """bubblewrap's command line. /proc is left out, and the root folder, which would be writable, is closed last."""
    box = [*BWRAP, "--unshare-all", "--unshare-user", "--disable-userns", "--cap-drop", "ALL", "--new-session"]
    box += ["--clearenv", "--size", str(disk_bytes), "--tmpfs", "/tmp"]
    for name in SYSTEM:
        if os.path.islink(name):
            box += ["--symlink", os.readlink(name), name]
        elif os.path.isdir(name):
            box += ["--ro-bind", name, name]
    for place, path in folders:
        box += ["--ro-bind", place, str(path)]
    for device in DEVICES:
        box += ["--dev-bind", device, device]
    for name, value in ENVIRONMENT.items():
        box += ["--setenv", name, value]
    return [*box, "--remount-ro", "/", "--chdir", "/tmp"]


def require(sandbox: Sandbox) -> None:
    """Raises: ValueError, with what to do, where this machine can't make the box that the config names."""
    if sandbox.isolation == "bubblewrap" and (wrong := box_problem()):
        raise ValueError(
            f"verifier.isolation = bubblewrap: {wrong}. Install bubblewrap 0.8 or newer "
            "(`apt-get install bubblewrap`), and allow user namespaces; or name the weaker isolation: `rlimits` lets a "
            "model's code read, write and send whatever you can"
        )


@cache
def box_problem() -> str:
    """Why no box can be made here; empty where one was made and ran Python."""
    if shutil.which("bwrap") is None:
        return "there is no program `bwrap` here"
    try:
        trial = subprocess.run(
            boxed([*BARE_PYTHON, "-c", "print(1)"], Sandbox(), []),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TRIAL_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"a trial failed: {error}"
    return "" if trial.returncode == 0 else f"a trial failed: {trial.stderr.strip()}"
