"""Files that appear whole or not at all, and a message for people where the disk refuses or has damaged them."""

import errno
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

GIB = 2**30
REFUSED = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
"""What a disk says that is full, over its quota or the size that a file may have, read-only, or broken."""

BROKEN = ".broken"
"""What is added to the name of a file that can't be read."""


class NotWritten(OSError):
    """The disk is full, read-only or broken: what was to be written is not there; what was there before still is."""


@contextmanager
def explained(path: Path, *errors: type[Exception]) -> Iterator[None]:
    """Around the writing of a file or folder: names it where that fails.

    errors: what libraries raise for it besides OSError.
    Raises: NotWritten.
    """
    try:
        yield
    except NotWritten:
        raise
    except (OSError, *errors) as error:
        reason = " ".join(str(_cause(error)).split())
        raise NotWritten(f"{path} can't be written: {reason}{_room(path)}") from error


@contextmanager
def refusal_explained(path: Path) -> Iterator[None]:
    """Around work that reads much and writes to `path`: only what the disk alone can be blamed for is explained.

    A failed write does not say to which file. Raises: NotWritten.
    """
    try:
        yield
    except NotWritten:
        raise
    except OSError as error:
        if error.errno not in REFUSED:
            raise
        with explained(path):
            raise


def _cause(error: BaseException) -> str:
    """What the system said: torch raises another error over that."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, OSError) and found.strerror:
            return found.strerror
        found = found.__context__
    return str(error)


def _room(path: Path) -> str:
    """How much room its disk has left."""
    there = next((folder for folder in (path, *path.absolute().parents) if folder.exists()), Path("/"))
    try:
        return f"; its disk has {shutil.disk_usage(there).free / GIB:.2f} GiB left"
    except OSError:
        return ""


@contextmanager
def replaced(path: Path, *errors: type[Exception], shared: bool = False) -> Iterator[Path]:
    """A path beside `path` to write a file to, which takes its place if the block succeeds, and else is removed.

    errors: as in `explained`; shared: other processes may be writing the same file. Raises: NotWritten.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial" if shared else f".{path.name}.partial")
    try:
        with explained(path, *errors):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield partial
            os.replace(partial, path)
    except BaseException:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


def take_place(partial: Path, target: Path) -> None:
    """Puts a folder in the place of another one, which is never there by half: neither is it half deleted."""
    old = target.with_name(f".{target.name}.old.partial")
    shutil.rmtree(old, ignore_errors=True)
    with explained(target):
        if target.exists():
            os.replace(target, old)
        os.replace(partial, target)
    shutil.rmtree(old, ignore_errors=True)


def write_whole(path: Path, text: str) -> None:
    """Writes a text file in one piece. Raises: NotWritten."""
    with replaced(path) as partial:
        partial.write_text(text, encoding="utf-8")


def set_aside(path: Path, title: str, problem: str) -> None:
    """Renames a file that can't be read and says so: the work that it held is done again."""
    aside = path.with_name(path.name + BROKEN)
    os.replace(path, aside)
    print(f"{title}: {path} is broken ({problem}): set aside as {aside.name}", file=sys.stderr)
