"""A reward worker that dies: its call is made again, once, and a death by what it was asked has a name."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from thicket.domains.pool import Pool


@pytest.fixture
def pool() -> Iterator[Pool]:
    """One worker that runs a line of Python."""
    made = Pool("timeit:timeit", 1, None)
    yield made
    made.close()


def dying(path: Path, times: int) -> dict[str, object]:
    """A call in which the worker is killed so many times."""
    code = (
        f"import os, signal; path = {str(path)!r}; held = open(path, 'a+'); held.seek(0); count = len(held.read()); "
        f"held.write('x'); held.close(); count < {times} and os.kill(os.getpid(), signal.SIGKILL)"
    )
    return {"stmt": code, "number": 1}


@pytest.mark.parametrize(("times", "reason", "calls"), [(0, "", 1), (1, "", 2), (2, "crashed (SIGKILL)", 2)])
def test_a_call_whose_worker_dies_is_made_again_once(
    pool: Pool, tmp_path: Path, times: int, reason: str, calls: int
) -> None:
    path = tmp_path / "calls"
    fine = {"stmt": "pass", "number": 1}
    found = pool.map([fine, dying(path, times), fine], seconds=60.0)
    assert [outcome.reason for outcome in found] == ["", reason, ""]
    assert (found[1].value is not None) == (reason == "")
    assert len(path.read_text()) == calls


def test_workers_that_never_begin_are_an_error_and_no_wrong_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dies_at_once.py").write_text("import os; os.kill(os.getpid(), 9)\n", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    dead = Pool("dies_at_once:f", 1, None)
    with pytest.raises(
        ValueError, match=r"the workers of dies_at_once:f end before they can be asked: crashed \(SIGKILL"
    ):
        dead.map([{}, {}], seconds=60.0)
    dead.close()
