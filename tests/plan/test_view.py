"""How far many stages are: plain lines in a log, a table that is drawn again on a terminal."""

import io
import sys
from pathlib import Path

import pytest

from thicket.plan import view
from thicket.plan.dag import Node, Schedule
from thicket.plan.view import View, last_line


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def seen(out: io.StringIO, log: Path) -> str:
    schedule = Schedule({name: Node("", frozenset()) for name in "abcd"}, done={"a"}, failed={"b"})
    with View(out) as shown:
        shown.show([("student-opd", 7.6, log), ("new", 0.0, log.with_name("none.log"))], schedule)
        shown.tell("a  done, 3.1 s [1.2, 3.4]")
    return out.getvalue()


def test_a_log_has_a_line_for_what_has_ended(tmp_path: Path) -> None:
    assert seen(io.StringIO(), tmp_path / "none.log") == "     0.0  a  done, 3.1 s [1.2, 3.4]\n"


def test_a_log_tells_now_and_then_what_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "SELDOM", 0.0)
    log = tmp_path / "a.log"
    log.write_text("step 2  loss 0.3\n", encoding="utf-8")
    lines = seen(io.StringIO(), log).splitlines()
    assert lines[:2] == ["     0.0  student-opd  8 s  step 2  loss 0.3", "     0.0  new  0 s"]
    out = io.StringIO()
    with View(out) as shown:
        shown.note("a  begins")
    assert out.getvalue() == "     0.0  a  begins\n"


def test_a_terminal_shows_what_runs_and_its_last_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    log = tmp_path / "a.log"
    log.write_text("Running stage\nstep 1\rstep 2  loss 0.3\n\n", encoding="utf-8")
    text = seen(Terminal(), log)
    assert "1 of 4 stages, 1 failed" in text
    assert "student-opd  8 s  step 2  loss 0.3" in text
    assert "a  done, 3.1 s [1.2, 3.4]" in text


def test_what_a_fork_prints_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    before = sys.stdout, sys.stderr
    with View(Terminal()):
        assert (sys.stdout, sys.stderr) == before


def test_the_last_line_of_a_long_log(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("x" * 2 * view.TAIL + "\nthe end\n", encoding="utf-8")
    assert last_line(log) == "the end"
    log.write_text("", encoding="utf-8")
    assert last_line(log) == ""
