"""Programs a second through the code verifier, against what the machine can do at best in the same run.

    python benchmarks/sandbox.py --programs 100 --repeats 5

The limit is a bare Python that does nothing, once as it is and once in an empty box, as many at a time as there are
workers. Each line: median, and the smallest and largest of the repeats. The rounds take turns, so that a machine that
slows down slows all of them.
"""

import argparse
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from thicket.config.sandbox import Sandbox
from thicket.config.verifier import CodeVerifier
from thicket.domains.item import Item
from thicket.domains.pool import cores
from thicket.domains.sandbox.launch import BARE_PYTHON, boxed
from thicket.domains.verifiers.code import judge

PROGRAM = "def double(x):\n    return 2 * x\n"
TESTS = Item("0" * 16, "?", "", 1, {"tests": ["assert double(2) == 4", "assert double(5) == 10"]})
WHOLE = Item("0" * 16, "?", "", 1, {"stdin": [{"input": "2", "output": "4"}]})
NOTHING = (*BARE_PYTHON, "-c", "")


def launched(command: Sequence[str], programs: int, workers: int) -> None:
    """Starts a command that often, so many at a time."""
    with ThreadPoolExecutor(workers) as threads:
        for ended in threads.map(lambda _: subprocess.run(command, check=True), range(programs)):
            assert ended.returncode == 0


def judged(program: str, item: Item, programs: int, workers: int) -> None:
    """Judges a program that often."""
    verdicts = judge(CodeVerifier(type="code", workers=workers), [(program, item)] * programs)
    assert all(verdict.correct for verdict in verdicts)


def measure(rounds: dict[str, Callable[[], None]], programs: int, repeats: int) -> dict[str, list[float]]:
    """Name → programs a second of each repeat, after one that isn't counted."""
    rates: dict[str, list[float]] = {name: [] for name in rounds}
    for repeat in range(repeats + 1):
        for name, work in rounds.items():
            begun = time.perf_counter()
            work()
            if repeat:
                rates[name].append(programs / (time.perf_counter() - begun))
    return rates


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", type=int, default=100, help="programs in a repeat")
    parser.add_argument("--repeats", type=int, default=5, help="repeats that count")
    parser.add_argument("--workers", type=int, default=cores(), help="programs at a time")
    options = parser.parse_args()
    programs, workers = options.programs, options.workers
    whole = "print(2 * int(input()))"
    box = boxed(NOTHING, Sandbox(), [])
    rounds: dict[str, Callable[[], None]] = {
        "bare Python": lambda: launched(NOTHING, programs, workers),
        "bare Python in a box": lambda: launched(box, programs, workers),
        "function with tests": lambda: judged(PROGRAM, TESTS, programs, workers),
        "whole program, one case": lambda: judged(whole, WHOLE, programs, workers),
    }
    rates = measure(rounds, programs, options.repeats)
    best = statistics.median(rates["bare Python in a box"])
    print(f"{workers} at a time, {options.repeats} × {programs} programs of each kind; programs a second:")
    for name, found in rates.items():
        middle = statistics.median(found)
        print(f"{name:<24} {middle:7.1f} ({min(found):.1f}–{max(found):.1f})  {middle / best:4.0%} of a bare box")


if __name__ == "__main__":
    main()
