"""Workers: outcomes in order, whatever hangs, dies or raises; and functions in a box."""

import os
import time
from collections.abc import Iterator

import pytest
from boxes import needs_box

from thicket.config.sandbox import Limits, Sandbox
from thicket.domains.calls import _received
from thicket.domains.pool import Pool, cores, run_isolated
from thicket.domains.worker import Outcome

BOX = Sandbox(limits=Limits(cpu_seconds=1, wall_seconds=1.5))


@pytest.fixture
def pool() -> Iterator[Pool]:
    """Two workers that run a line of Python, each in its own namespace."""
    made = Pool("timeit:timeit", 2, None)
    yield made
    made.close()


def lines(*statements: str) -> list[dict[str, object]]:
    return [{"stmt": statement, "number": 1} for statement in statements]


def test_outcomes_stand_in_the_order_of_the_arguments() -> None:
    data = [{"data": [number, number + 2]} for number in range(20)]
    found = run_isolated("statistics:mean", data, seconds=20.0, workers=3)
    assert found == [Outcome(number + 1) for number in range(20)]
    assert run_isolated("statistics:mean", [], seconds=1.0) == []


def test_a_call_that_fails_is_an_outcome_and_the_next_ones_go_on(pool: Pool) -> None:
    statements = lines("pass", "1 / 0", "import os; os.abort()", "import os; os._exit(0)", "raise SystemExit", "pass")
    found = pool.map(statements, seconds=20.0)
    assert [outcome.reason for outcome in found] == [
        *("", "exception: ZeroDivisionError", "crashed (SIGABRT)", "crashed", "crashed", "")
    ]
    assert found[0].value > 0
    assert [outcome.reason for outcome in pool.map(statements[:2], seconds=20.0)] == [
        "",
        "exception: ZeroDivisionError",
    ]


def test_a_call_that_hangs_ends_at_its_time_and_its_worker_is_replaced(pool: Pool) -> None:
    pool.map(lines("pass", "pass"), seconds=20.0)  # The imports take none of a call's time.
    begun = time.monotonic()
    found = pool.map(lines("while True: pass", "pass", "pass", "pass"), seconds=1.0)
    assert [outcome.reason for outcome in found] == ["time limit", "", "", ""]
    assert 1.0 <= time.monotonic() - begun < 10.0
    assert [outcome.reason for outcome in pool.map(lines("pass", "pass", "pass"), seconds=20.0)] == [""] * 3


def test_a_worker_that_died_between_calls_is_replaced_without_blame(pool: Pool) -> None:
    pool.map(lines("pass"), seconds=20.0)
    (worker,) = pool._idle
    os.kill(worker._process.pid, 9)
    worker._process.wait()
    assert [outcome.reason for outcome in pool.map(lines("pass"), seconds=20.0)] == [""]


def test_what_a_function_prints_is_no_answer(pool: Pool) -> None:
    assert pool.map(lines("print('{\"value\": 7}')"), seconds=20.0)[0].value not in (None, 7)


def test_a_value_that_json_cannot_hold_is_an_exception() -> None:
    assert run_isolated("fractions:Fraction", [{"numerator": 1}], 20.0) == [Outcome(reason="exception: TypeError")]


@pytest.mark.parametrize(("function", "wrong"), [("nonesuch:f", "No module named 'nonesuch'"), ("math:f", "'f'")])
def test_a_function_that_is_not_there(function: str, wrong: str) -> None:
    with pytest.raises(ValueError, match=rf"the function {function} can't be imported: .*{wrong}"):
        run_isolated(function, [{}, {}], 20.0)


def test_workers_are_as_many_as_the_cores_that_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {1, 5, 7})
    assert cores() == 3


# -- in a box ----------------------------------------------------------------------------------------------------------


def boxed(*statements: str, seconds: float = 20.0) -> list[str]:
    return [outcome.reason for outcome in run_isolated("timeit:timeit", lines(*statements), seconds, 1, BOX)]


def test_of_answers_that_come_at_once_the_first_counts() -> None:
    """As of two forks of one call."""
    receive, send = os.pipe()
    os.write(send, b'{"reason": "processes"}\n{"reason": "memory limit"}\n{"rea')
    os.close(send)
    assert _received(receive, BOX) == (b'{"reason": "processes"}', "")
    os.close(receive)


@needs_box
def test_calls_in_a_box_have_its_limits_and_one_spoils_no_other() -> None:
    assert boxed(
        "import timeit; timeit.spoilt = True",
        "import timeit; timeit.spoilt",
        "open('/etc/passwd')",
        "bytearray(10**11)",
        "import time; time.sleep(60)",
        "while True: __import__('os').fork()",
        "import ctypes; ctypes.string_at(0)",
        "pass",
    ) == [
        "",
        "exception: AttributeError",
        "exception: FileNotFoundError",
        "memory limit",
        "time limit",
        "processes",
        "crashed (SIGSEGV)",
        "",
    ]


@needs_box
def test_a_call_that_stops_the_worker_in_its_box() -> None:
    assert boxed("import os, signal; os.kill(os.getppid(), signal.SIGSTOP)", seconds=2.5) == ["time limit"]
    assert boxed("import os, signal; os.kill(os.getppid(), signal.SIGKILL)", "pass") == ["crashed (SIGKILL)", ""]


@needs_box
def test_a_call_in_a_box_cannot_answer_for_another() -> None:
    """It has no way to the worker's own pipes; with its own, it can spoil its own outcome."""
    write = "import os\nfor d in range(3, 64):\n  try: os.write(d, b'{\"value\": 7}\\n')\n  except OSError: pass"
    found = run_isolated("timeit:timeit", lines(write, "pass", "pass"), 20.0, 1, BOX)
    assert [outcome.reason for outcome in found[1:]] == ["", ""]
    assert all(outcome.value != 7 for outcome in found[1:])
