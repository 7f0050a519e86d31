"""What work prints, whoever reads it."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO


class Outliving:
    """A stream that outlives its reader, as `head`: what is written after that goes nowhere."""

    def __init__(self, own: TextIO):
        self.own = own

    def write(self, text: str) -> int:
        try:
            return self.own.write(text)
        except BrokenPipeError:
            self._goes_on()
            return len(text)

    def flush(self) -> None:
        try:
            self.own.flush()
        except BrokenPipeError:
            self._goes_on()

    def _goes_on(self) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.own.fileno())  # For what is still in the buffer, too, and for processes that are started.
        os.close(nowhere)
        print("Note: nobody reads on what is printed here; the work goes on.", file=sys.stderr, flush=True)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.own, name)


@contextmanager
def outlives_readers() -> Iterator[None]:
    """Within the block work goes on where nobody reads its output any more: its log and its results are what counts."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = streams = tuple(map(Outliving, before))  # type: ignore[assignment]
    try:
        yield
    finally:
        for stream in streams:
            stream.flush()
        sys.stdout, sys.stderr = before
