"""The sample project to edit, and the command line, called in this process."""

import gc
import os
import shutil
import signal
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from commands import SAMPLE, Command, Said
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

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


TOGETHER = "tests/pipeline/"
"""What is tested here starts with a project that takes longer to build than most tests run."""


class FilesAndOneFolder(LoadFileScheduling):
    """A worker takes whole files, so that the tests of one share its fixtures, and this folder whole."""

    def _split_scope(self, nodeid: str) -> str:
        return TOGETHER if nodeid.startswith(TOGETHER) else super()._split_scope(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling | None:
    return FilesAndOneFolder(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """The million objects of the tests and of the libraries stay: looking for garbage among them is in vain."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


LONGEST = ("faults", "stages")
"""Folders of the tests that build most."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest comes first: workers take whole files in this order, and none is left alone at the end.

    (By itself xdist takes the files with most tests first, which are the short ones.)
    """
    slow = {item.path for item in items if item.get_closest_marker("slow")}

    def place(item: pytest.Item) -> int:
        if item.nodeid.startswith(TOGETHER):
            return 0
        return 1 if item.path in slow or {*LONGEST} & {*item.path.parts} else 2

    items.sort(key=place)
