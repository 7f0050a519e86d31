"""How far a stage is and how it ended: its record and its log."""

import sys
from pathlib import Path

import pytest

from thicket import standing
from thicket.progress import EVERY_SECONDS, Teller
from thicket.signals import TERMINATED, Interrupted
from thicket.standing import followed, log_of, read_record


def test_what_a_run_prints_is_shown_and_logged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with followed(tmp_path, "data-sort"):
        print("128 items")
        print("\x1b[2K\rcareful", file=sys.stderr)
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("128 items\n", "\x1b[2K\rcareful\n")
    head, *lines = log_of(tmp_path, "data-sort").read_text().splitlines()
    assert head.startswith("# data-sort, ")
    assert lines == ["128 items", "careful"]
    record = read_record(tmp_path, "data-sort")
    assert record is not None
    assert record.status == "done"
    assert standing.current() is None


def test_progress_is_on_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    with followed(tmp_path, "student-opd"), Teller("student opd", clock=lambda: now[0]) as tell:
        now[0] = EVERY_SECONDS
        tell(0.25, "loss 0.5")
        record = read_record(tmp_path, "student-opd")
    assert record is not None
    assert (record.status, record.title, record.share, record.figures) == ("running", "student opd", 0.25, "loss 0.5")
    assert record.seconds_left == pytest.approx(3 * EVERY_SECONDS)
    assert "student opd   25%  loss 0.5  15 s left" in log_of(tmp_path, "student-opd").read_text()
    assert capsys.readouterr().out.startswith("student opd   25%")


@pytest.mark.parametrize(
    ("error", "status", "message", "logged"),
    [
        (ValueError("no such model"), "failed", "no such model", "ValueError: no such model"),
        (ZeroDivisionError("by 0"), "failed", "ZeroDivisionError: by 0", "Traceback"),
        (Interrupted(), "stopped", "", "goes on from the last checkpoint"),
        (KeyboardInterrupt(), "stopped", "", "goes on from the last checkpoint"),
        (SystemExit(TERMINATED), "stopped", "", "goes on from the last checkpoint"),
        (SystemExit(3), "failed", "SystemExit: 3", "Traceback"),
    ],
)
def test_how_it_ended(tmp_path: Path, error: BaseException, status: str, message: str, logged: str) -> None:
    before = sys.stdout, sys.stderr
    with pytest.raises(type(error)), followed(tmp_path, "report"):
        raise error
    record = read_record(tmp_path, "report")
    assert record is not None
    assert (record.status, record.message) == (status, message)
    assert logged in log_of(tmp_path, "report").read_text()
    assert (sys.stdout, sys.stderr) == before


def test_what_is_not_followed_leaves_nothing(tmp_path: Path) -> None:
    with followed(None, "report"):
        print("text")
    assert not list(tmp_path.iterdir())


def test_a_record_that_broke_off_is_none(tmp_path: Path) -> None:
    assert read_record(tmp_path, "report") is None
    (tmp_path / "report.json").write_text('{"stage": ', encoding="utf-8")
    assert read_record(tmp_path, "report") is None


def test_what_a_failure_goes_back_to(tmp_path: Path) -> None:
    """Where stages fail for one reason, that is the same, whatever each of them says of it."""

    def fails(item: str) -> None:
        try:
            raise KeyError("answer")
        except KeyError as error:
            raise ValueError(f"item {item}: no answer") from error

    found = []
    for item in ("1", "2"):
        with pytest.raises(ValueError, match="no answer"), followed(tmp_path, "report", {"code": "0"}):
            fails(item)
        found.append(read_record(tmp_path, "report"))
    first, second = found
    assert first is not None
    assert second is not None
    assert (first.message, second.message) == ("item 1: no answer", "item 2: no answer")
    assert (first.cause, first.ran) == ("KeyError: 'answer'", {"code": "0"})
    assert first.at.rpartition(":")[0].endswith("tests/test_standing.py")
    assert (first.cause, first.at) == (second.cause, second.at)
