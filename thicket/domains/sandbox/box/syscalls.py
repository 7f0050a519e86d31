"""A filter of system calls (seccomp) for what namespaces and limits of a process don't hold.

What is refused: memory that belongs to no process (files without a name, System V and POSIX queues and segments), which
no limit counts; sockets other than the box's own network and UNIX ones, since a virtual machine's `vsock` reaches its
host from any namespace; keyrings, which the box shares with whoever started it; reads of other processes; and doors to
the kernel that no program in a box needs (io_uring, bpf, …). A refused call fails with EPERM.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

_ARCHITECTURES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
"""Name → audit(7)'s number, and the column of `REFUSED`."""
REFUSED = {
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "msgget": (68, 186),
    "semget": (64, 190),
    "mq_open": (240, 180),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_getfd": (438, 438),
    "kcmp": (312, 272),
    "io_uring_setup": (425, 425),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "open_by_handle_at": (304, 265),
    "fanotify_init": (300, 262),
}
"""Name → its number on each of the architectures."""
_SOCKET = (41, 198)
FAMILIES = (1, 2, 10)
"""Of sockets that may be made: UNIX, and IP versions 4 and 6, whose network is the box's own and empty."""
_X32 = 0x40000000
"""Numbers from here on are x86-64's second set of calls."""
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06  # linux/bpf_common.h
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM
_PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS, _MODE_FILTER = 22, 38, 2

Step = tuple[int, int, int, int]
"""Code, how many steps to skip where the comparison holds, and where not, and the value."""


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_char_p))


def refuse_calls() -> None:
    """Puts the filter over this process and all that it starts. Raises: OSError where the kernel has none.

    On an architecture that is not in the table nothing is refused.
    """
    known = _ARCHITECTURES.get(os.uname().machine)
    if known is None:
        return
    steps = b"".join(struct.pack("HBBI", *step) for step in _steps(*known))
    libc = ctypes.CDLL(None, use_errno=True)
    program = _Program(len(steps) // struct.calcsize("HBBI"), steps)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(program), 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "the kernel takes no filter of system calls (seccomp)")


def _steps(architecture: int, column: int) -> list[Step]:
    """The filter, in classic BPF. A jump is at most 255 steps long, and the last two steps end it."""
    refused = [numbers[column] for numbers in REFUSED.values()]
    checks: list[Step] = [(_LOAD, 0, 0, _NUMBER), (_AT_LEAST, -1, 0, _X32)]
    checks += [(_EQUAL, -1, 0, number) for number in refused]
    checks += [(_EQUAL, 0, -2, _SOCKET[column]), (_LOAD, 0, 0, _FIRST_ARGUMENT)]
    checks += [(_EQUAL, -2, 0, family) for family in FAMILIES]
    steps: list[Step] = [(_LOAD, 0, 0, _ARCHITECTURE), (_EQUAL, 0, -1, architecture), *checks]
    ends = {-1: len(steps), -2: len(steps) + 1}  # where the steps lie that refuse and allow

    def skipped(place: int, jump: int) -> int:
        return ends[jump] - place - 1 if jump < 0 else jump

    steps = [
        (code, skipped(place, true), skipped(place, false), value)
        for place, (code, true, false, value) in enumerate(steps)
    ]
    return [*steps, (_RETURN, 0, 0, _REFUSE), (_RETURN, 0, 0, _ALLOW)]
