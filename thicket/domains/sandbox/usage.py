"""What a process and all that it started use, by Linux's /proc."""

from collections.abc import Iterator
from pathlib import Path

PROC = Path("/proc")
COUNTED = ("RssAnon:", "RssShmem:")
"""Memory that a process has for itself or shares on purpose; files mapped from disk are the system's."""
KIB = 1024
"""Bytes of the unit of /proc/PID/status."""


def memory_and_processes(pid: int) -> tuple[int, int]:
    """Resident memory in bytes, and the number of processes, of a process and its descendants."""
    family = list(_family(pid))
    return sum(map(_memory, family)), len(family)


def _family(pid: int) -> Iterator[int]:
    yield pid
    for task in PROC.glob(f"{pid}/task/[0-9]*"):
        for child in _text(task / "children").split():
            yield from _family(int(child))


def _memory(pid: int) -> int:
    lines = _text(PROC / str(pid) / "status").splitlines()
    return sum(int(line.split()[1]) * KIB for line in lines if line.startswith(COUNTED))


def _text(path: Path) -> str:
    """A file's text; empty where the process has ended meanwhile."""
    try:
        return path.read_text()
    except OSError:
        return ""
