"""A reader of the output that goes away, as `head` does, ends no work: that goes on, and its log has every line."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest
from commands import Command

from thicket.cli import main
from thicket.output import outlives_readers
from thicket.standing import followed, log_of, read_record


@pytest.fixture
def unread() -> Iterator[TextIO]:
    """A stream whose reader is gone."""
    reads, writes = os.pipe()
    os.close(reads)
    with os.fdopen(writes, "w", encoding="utf-8") as stream:
        yield stream


def test_a_run_goes_on(
    tmp_path: Path, unread: TextIO, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", unread)
    with outlives_readers(), followed(tmp_path, "report"):
        print("one", flush=True)
        print("two", flush=True)
    assert sys.stdout is unread
    print("three", flush=True)
    note = "Note: nobody reads on what is printed here; the work goes on."
    assert log_of(tmp_path, "report").read_text().splitlines()[1:] == ["one", note, "two"]
    record = read_record(tmp_path, "report")
    assert record is not None
    assert record.status == "done"
    assert capsys.readouterr().err == f"{note}\n"


def test_neither_output_nor_errors_are_read(unread: TextIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", unread)
    monkeypatch.setattr(sys, "stderr", unread)
    with outlives_readers():
        print("one", flush=True)
        print("two", file=sys.stderr, flush=True)


def test_a_stage_is_made(sample: Path, command: Command, unread: TextIO) -> None:
    command("plan")
    command("compose")
    asked = [sys.executable, "-m", "thicket", "run", "build/config/data/sort.yaml"]
    assert subprocess.run(asked, stdout=unread, stderr=unread, check=False).returncode == 0
    record = read_record(sample / "build/logs", "data-sort")
    assert record is not None
    assert record.status == "done"
    assert (sample / "build/data/sort/test.jsonl").is_file()
    assert "6 items in test" in log_of(sample / "build/logs", "data-sort").read_text()


def test_what_only_looks_ends(sample: Path, unread: TextIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", unread)
    assert main(["status"]) == 141
