"""Progress of work outside a trainer: plain lines in a log, now and then."""

import pytest

from thicket.progress import EVERY_SECONDS, Teller


def test_lines_in_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    with Teller("analyze look", clock=lambda: now[0]) as tell:
        tell(0.1, "too early")
        now[0] = EVERY_SECONDS
        tell(0.25, "sort 0.5")
        tell(0.3, "too early again")
        now[0] = 4 * EVERY_SECONDS
        tell(1.0, "odd 0.7")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines] == [
        ["analyze", "look", "25%", "sort", "0.5", f"{3 * EVERY_SECONDS:.0f}", "s", "left"],
        ["analyze", "look", "100%", "odd", "0.7", "0", "s", "left"],
    ]
