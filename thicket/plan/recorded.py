"""What dvc.lock records: what DVC last made of each stage, and whether the files are still those.

Read here, and not by DVC, whose own `dvc status` takes seconds to start and hashes every file: where names, number and
size of an artifact's files are those of the lock, its contents are only looked at where they are small, or younger than
the lock.
"""

import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yaml import YAMLError

from thicket.config.yamlfile import values_of
from thicket.plan.locks import is_locked

HASHED_BYTES = 2**20
"""Artifacts up to this size are always hashed."""
CACHE = Path(".dvc/cache/files/md5")
RUNNING = Path(".dvc/tmp/rwlock")
"""Where DVC notes what its processes read and write."""
OWNED = Path(".dvc/tmp/lock")
"""What a DVC process locks while it is at the repository itself, which it is not while a stage runs."""
SETTLED_SECONDS, LONGEST_SECONDS = 0.5, 5.0
"""dvc.lock is taken for whole when nothing was written to it for so long; and how long that is waited for."""
TICK = 0.05
"""Seconds between two looks at it."""


@dataclass(frozen=True)
class Entry:
    """A file or folder as dvc.lock has it."""

    path: str
    md5: str
    size: int
    files: int

    @classmethod
    def of(cls, entry: dict[str, Any]) -> "Entry":
        return cls(entry["path"], entry.get("md5", ""), entry.get("size", 0), entry.get("nfiles", 1))


@dataclass(frozen=True)
class Locked:
    """A stage as DVC last ran it."""

    cmd: str
    params: dict[str, Any]
    """Resolved config's file → its values."""
    deps: dict[str, Entry]
    outs: dict[str, Entry]


def read_lock(root: Path) -> dict[str, Locked]:
    """Stage → what DVC last made of it; nothing where there is no dvc.lock.

    Raises: ValueError where it can't be read.
    """
    path = root / "dvc.lock"
    return recorded(_settled(path)) if path.is_file() else {}


def recorded(lock: str) -> dict[str, Locked]:
    """The same from the text of a dvc.lock that nobody is writing. Raises: ValueError where it can't be read."""
    try:
        stages = (values_of(lock) or {}).get("stages", {})
    except (YAMLError, AttributeError) as error:
        wrong = "dvc.lock can't be read (was DVC killed while it wrote it?): `thicket plan` keeps what is whole of it"
        raise ValueError(wrong) from error
    return {
        name: Locked(
            cmd=stage.get("cmd", ""),
            params=stage.get("params", {}),
            deps={entry["path"]: Entry.of(entry) for entry in stage.get("deps", [])},
            outs={entry["path"]: Entry.of(entry) for entry in stage.get("outs", [])},
        )
        for name, stage in stages.items()
    }


def _settled(path: Path) -> str:
    """The text of a file that DVC may just be writing, which it does in place and, by a slow dumper, bit by bit.

    By a clock that has jumped, or another machine's, it can be hours from now that it was written.
    """
    until = time.monotonic() + LONGEST_SECONDS
    while True:
        written = path.stat().st_mtime
        age = max(0.0, time.time() - written)
        time.sleep(max(0.0, SETTLED_SECONDS - age))
        text = path.read_text(encoding="utf-8")
        whole = text.endswith("\n") or age > LONGEST_SECONDS
        if (whole and path.stat().st_mtime == written) or time.monotonic() > until:
            return text
        time.sleep(TICK)


def locked_since(root: Path) -> float:
    """When dvc.lock was last written; 0, with which all files are younger, where there is none, or it says a time to
    come, as after a clock that was ahead."""
    path = root / "dvc.lock"
    written = path.stat().st_mtime if path.is_file() else 0.0
    return written if written <= time.time() else 0.0


def in_the_making(root: Path) -> dict[str, float]:
    """What DVC is having made, or records, just now → since when the process is there that does it."""
    try:
        writes = json.loads((root / RUNNING).read_text(encoding="utf-8")).get("write", {})
    except (OSError, ValueError):
        return {}
    own, processes = root.resolve(), {by.get("pid", 0): began(by.get("pid", 0)) for by in writes.values()}
    found = {Path(path): since for path, by in writes.items() if (since := processes[by.get("pid", 0)]) is not None}
    return {path.relative_to(own).as_posix(): since for path, since in found.items() if path.is_relative_to(own)}


def at_work(root: Path, held: set[int] | None) -> float | None:
    """Since when the DVC process is there that has the repository to itself, as while it writes dvc.lock; None: none
    has."""
    path = root / OWNED
    try:
        return began(int(path.read_text(encoding="ascii"))) if is_locked(path, held) else None
    except (OSError, ValueError):
        return None


def began(pid: int) -> float | None:
    """When a process began; None where there is none of this id, or one that has ended and waits for its parent."""
    import psutil

    try:
        process = psutil.Process(pid) if pid > 0 else None
        return process.create_time() if process and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.Error:
        return None


def wrong_with(root: Path, entry: Entry, since: float) -> str:
    """What is wrong with the files of an entry: `missing`, `changed`; empty: nothing.

    `since`: files that were changed after this time are hashed, whatever their size.
    """
    path = root / entry.path
    if not path.exists():
        return "missing"
    stats = [file.stat() for file in _files(path)]
    if (len(stats), sum(one.st_size for one in stats)) != (entry.files, entry.size):
        return "changed"
    looked_at = entry.size <= HASHED_BYTES or any(one.st_mtime > since for one in stats)
    return "changed" if looked_at and hash_of(path) != entry.md5 else ""


def hash_of(path: Path) -> str:
    """MD5 of a file, or of a folder, as DVC has it."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "md5").hexdigest()
    listed = [{"md5": hash_of(file), "relpath": file.relative_to(path).as_posix()} for file in _files(path)]
    text = json.dumps(sorted(listed, key=lambda one: one["relpath"]), sort_keys=True)
    return f"{hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()}.dir"


def is_cached(root: Path, entry: Entry) -> bool:
    """Whether DVC's cache holds an entry, so that `dvc checkout` can bring it back."""
    return (root / CACHE / entry.md5[:2] / entry.md5[2:]).is_file()


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    else:
        yield from (file for file in path.rglob("*") if file.is_file())
