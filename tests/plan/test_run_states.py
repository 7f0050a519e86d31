"""What is said of a run that is on its way."""

import time

import pytest

from thicket.plan.run_states import LONG, failed_words, making_words, progress_words
from thicket.standing import Record


@pytest.mark.parametrize(
    ("share", "ago", "progress", "making"),
    [
        (None, 0, "runs", "being made"),
        (None, 541, "runs  no progress for 9 min", "being made  no progress for 9 min"),
        (0.5, LONG - 10, "50%  step 3  0 s left", "being made: 50%  step 3  0 s left"),
        (0.5, 541, "50%  step 3  no progress for 9 min", "being made: 50%  step 3  no progress for 9 min"),
    ],
)
def test_long_silence_is_said(share: float | None, ago: float, progress: str, making: str) -> None:
    now = time.time()
    record = Record("stub", 1, "running", now - 1000, now - ago, "a", share, "step 3", None if share is None else 20.0)
    assert progress_words(record) == progress.replace("0 s left", f"{record.left or 0:.0f} s left")
    assert making_words(record) == making.replace("0 s left", f"{record.left or 0:.0f} s left")


def test_a_mistake_in_the_project_s_own_code_is_told_with_its_line() -> None:
    """And is one whatever item its message names; an error in thicket's code tells of what it was given."""
    records = [
        Record("stub", 1, "failed", 0, 0, message=f"verifier unit, item {name}: no number", cause=f"{name}: no", at=at)
        for name, at in (
            ("a", "mine/unit.py:9"),
            ("b", "mine/unit.py:9"),
            ("c", "thicket/a.py:3"),
            ("d", "thicket/a.py:3"),
        )
    ]
    assert failed_words(records[0]) == "failed: verifier unit, item a: no number (mine/unit.py:9)"
    assert failed_words(records[2]) == "failed: verifier unit, item c: no number"
    assert [one.mistake for one in records] == ["mine/unit.py:9"] * 2 + [
        "c: no (thicket/a.py:3)",
        "d: no (thicket/a.py:3)",
    ]
