"""A disk without room, as far as files can't grow beyond a size."""

import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def files_of_at_most(count: int) -> Iterator[None]:
    """As on a full disk, a write fails in the midst of a file: Python ignores the signal that comes with it.

    Modules that are imported meanwhile are not kept as bytecode: Python would leave a piece, and fail on it for ever.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sys, "dont_write_bytecode", True)
        resource.setrlimit(resource.RLIMIT_FSIZE, (count, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
