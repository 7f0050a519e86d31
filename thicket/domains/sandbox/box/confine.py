"""Limits of a process, and the names of what ends one."""

from __future__ import annotations

import ctypes
import errno
import resource
import signal

from thicket.domains.sandbox.box.syscalls import refuse_calls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PR_SET_DUMPABLE = 4  # prctl(2)
SHELL_SIGNALS = 128
"""bubblewrap's exit status, as a shell's, is this and the signal's number where a signal ended the program."""
DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def shut_memory() -> None:
    """Shuts this process's memory, and that of those forked from it, to other processes of the same user."""
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def confine(limits: dict[str, Any], boxed: bool) -> None:
    """Sets the limits (thicket.config.sandbox.Limits) of this process and of all that it starts.

    boxed: in a box the user is the box's own, so that processes can be counted (elsewhere all that the user runs would
    count), and system calls that reach beyond the box are refused.
    """
    cpu = limits["cpu_seconds"]
    bounds = {
        resource.RLIMIT_CPU: (cpu, cpu + 1),  # The first is a signal that a program may ignore, the second is not.
        resource.RLIMIT_AS: (limits["memory_bytes"],) * 2,
        resource.RLIMIT_FSIZE: (limits["disk_bytes"],) * 2,
        resource.RLIMIT_NOFILE: (limits["open_files"],) * 2,
        resource.RLIMIT_CORE: (0, 0),
    }
    if boxed:
        refuse_calls()
        bounds[resource.RLIMIT_NPROC] = (limits["processes"],) * 2
    for which, bound in bounds.items():
        resource.setrlimit(which, bound)


def reason_of(error: BaseException) -> str:
    """The name of the exception that ended a program, or of the limit that it met."""
    if isinstance(error, MemoryError):
        return "memory limit"
    if isinstance(error, OSError) and error.errno in DISK:
        return "disk"
    if isinstance(error, BlockingIOError) or "can't start new thread" in str(error):
        return "processes"
    return f"exception: {type(error).__name__}"


def death(number: int, cpu_seconds: float = 0.0, limits: dict[str, Any] | None = None) -> str:
    """The name of the signal that ended a process, which may be the work of the limit on processor time."""
    spent = limits is not None and cpu_seconds >= limits["cpu_seconds"]
    if number == signal.SIGXCPU or spent:
        return "time limit"
    return f"crashed ({signal.Signals(number).name})" if number in set(signal.Signals) else "crashed"


def death_by_status(status: int) -> str:
    """The same by an exit status: minus the signal's number, or SHELL_SIGNALS and that number."""
    return death(-status if status < 0 else status - SHELL_SIGNALS)
