"""The lines of a sweep's runs that run side by side, each beginning with what tells its run from the others."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO


class Labelled:
    """A stream whose lines begin with a label. Each is written whole: other processes write to the same place.

    It is no terminal: of several live lines each would write over the others.
    """

    def __init__(self, own: TextIO, label: str):
        self.own, self.label, self.begun = own, label, ""

    def write(self, text: str) -> int:
        *lines, self.begun = (self.begun + text).split("\n")
        if lines:
            self.own.write("".join(f"{self.label}: {line}\n" for line in lines))
            self.own.flush()
        return len(text)

    def isatty(self) -> bool:
        return False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.own, name)


@contextmanager
def labelled(label: str) -> Iterator[None]:
    """Within the block all that is printed is labelled; an empty label changes nothing."""
    if not label:
        yield
        return
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = streams = tuple(Labelled(stream, label) for stream in before)  # type: ignore[assignment]
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
        for stream in streams:
            if stream.begun:
                stream.write("\n")
