"""The sample project to edit, and the command line, called in this process."""

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import SAMPLE, Command, Said

from thicket.cli import main

# Two workers with a thread for every core each are in one another's way. Torch reads it when it is loaded, later on.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True)
def own_sigterm() -> Iterator[None]:
    """A run that SIGTERM interrupts lets no later one end its process, which is here that of the other tests too."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of tests/sample, which is the working folder too."""
    root = Path(shutil.copytree(SAMPLE, tmp_path / "project"))
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Calls `thicket ARGUMENTS` in the working folder."""

    def call(*arguments: str) -> Said:
        capsys.readouterr()
        try:
            status = main(list(arguments))
        except SystemExit as left:  # argparse leaves so
            status = int(left.code or 0)
        captured = capsys.readouterr()
        return Said(status, captured.out, captured.err)

    return call


LONGEST = ("pipeline", "faults", "stages")
"""Folders of the tests that build most."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest comes first: workers take whole files in this order, and none is left alone at the end.

    (By itself xdist takes the files with most tests first, which are the short ones.)
    """
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow and not {*LONGEST} & {*item.path.parts})
