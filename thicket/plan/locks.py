"""Which files are locked just now."""

import fcntl
from pathlib import Path

LOCKS = Path("/proc/locks")


def held() -> set[int] | None:
    """Inodes of the files that are locked; None where the system does not say."""
    try:
        lines = LOCKS.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    # `1: FLOCK  ADVISORY  WRITE 4711 fe:00:2197839 0 EOF`; not every file system gives `stat` the same device.
    return {int(line.split()[-3].rpartition(":")[2]) for line in lines if " FLOCK " in line}


def is_locked(path: Path, held: set[int] | None) -> bool:
    """Whether a process holds a lock; looking does not take it, where the system says so."""
    if not path.is_file():
        return False
    if held is not None:
        return path.stat().st_ino in held
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
