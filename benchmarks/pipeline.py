"""The time of the project's own experiment through DVC: to the tables, with all analyses, and with nothing to do.

    python benchmarks/pipeline.py --folder FOLDER [--repeats 5 --results FILE]

Clones the commit into the folder, which must not be there, and runs `dvc repro report`, `dvc repro` and `dvc repro`
again there; then `thicket --help` and `thicket check`. Uncommitted changes don't take part. Wanted on two CPU cores:
10 minutes up to the tables and 15 with all analyses, 3 s with nothing to do, 0.3 s for help, 1 s for the check.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from common import ROOT, about, save, spread

from thicket.stages.machine import commit

GOALS = {
    "dvc repro report": 600.0,
    "dvc repro": 900.0,
    "dvc repro, nothing to do": 3.0,
    "thicket --help": 0.3,
    "thicket check": 1.0,
}
"""Seconds, at most; the second counts from the start."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--repeats", type=int, default=5, help="of the short ones")
    parser.add_argument("--results", type=Path, help="a JSON file for the same figures")
    options = parser.parse_args()
    where = {**about("dvc", "lightning"), "cores": str(len(os.sched_getaffinity(0)))}
    folder = options.folder.resolve()
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    where["commit"] = str(commit(folder))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(folder)}

    def run(command: str) -> float:
        started = time.perf_counter()
        done = subprocess.run(command.split(), cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return time.perf_counter() - started

    found = {"dvc repro report": [run("dvc repro report")]}
    found["dvc repro"] = [found["dvc repro report"][0] + run("dvc repro")]
    found["dvc repro, nothing to do"] = [run("dvc repro") for _ in range(options.repeats)]
    for command in ("thicket --help", "thicket check"):
        found[command] = [run(command) for _ in range(options.repeats)]
    for name, seconds in found.items():
        met = "met" if statistics.median(seconds) <= GOALS[name] else "missed"
        print(f"{name:25} {spread(seconds, '.2f')} s; {GOALS[name]} wanted: {met}")
    save(options.results, {**where, "seconds": found, "goals": GOALS})


if __name__ == "__main__":
    main()
