"""The script that runs dvc.yaml's stages without DVC: what fails, and what goes on."""

import argparse
import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from thicket_loaded import run_by_forks
from toys import toy_project

from thicket.plan.dag import Node, Schedule

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "scripts" / "without_dvc.py"


def by_forks() -> dict[str, str]:
    """The processes that run the stages need not load the libraries."""
    return run_by_forks("without_dvc.py --worker", dict(os.environ))


@pytest.mark.slow
def test_a_stage_that_fails_stops_what_needs_it_alone(tmp_path: Path) -> None:
    root = toy_project(tmp_path / "project")
    subprocess.run([sys.executable, "-m", "thicket.cli", "compose"], cwd=root, check=True)
    (root / "build/config/models/tiny.yaml").write_text("type: none\n", encoding="utf-8")
    command = [sys.executable, str(SCRIPT), "--jobs", "1", "--skip", "^report$", "--tries", "2"]
    done = subprocess.run(command, cwd=root, env=by_forks(), capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    state = json.loads((root / "run/state.json").read_text(encoding="utf-8"))
    assert state.keys() == {name for name in state if name.startswith("data-")} != set()
    assert "failed: base-tiny; not done: " in done.stdout
    assert (root / "run/logs/base-tiny.log").read_text(encoding="utf-8").count("a value is missing") == 2


def run_of(names: list[str], monkeypatch: pytest.MonkeyPatch, **options: object) -> Any:
    """A run of stages that need nothing, none of which has begun."""
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    from without_dvc import Run  # pyright: ignore[reportMissingImports]

    run = object.__new__(Run)
    run.options = argparse.Namespace(**{"skip": "^$", "first": "", "apart": "^$", "jobs": 4, **options})
    run.schedule = Schedule({name: Node("", frozenset()) for name in names})
    run.busy, run.tries = {}, Counter()
    return run


def test_stages_with_like_groups_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["analyze-s0-density", "analyze-s0-overlap", "analyze-s1-density", "evaluate-s0-opd"]
    run = run_of(names, monkeypatch, apart=r"(s\d)-(?:density|overlap)")
    run.schedule.running.add(names[0])
    assert run.ready() == names[2:]
    run.options.apart = "density|overlap"
    assert run.ready() == names[3:]


def test_what_failed_has_its_next_try_first_and_beside_one_stage_less(monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_of(["a", "b", "c", "d"], monkeypatch, jobs=3)
    run.tries["c"] = 1
    assert run.ready() == ["c", "a", "b", "d"]
    run.busy = {1: (None, "a", 0.0), 2: (None, "b", 0.0)}
    assert run.ready() == [], "three less one run"
    del run.busy[2]
    assert run.ready()[0] == "c"
    run.tries["c"] = 2
    assert run.ready() == [], "it runs alone"
    run.tries["c"], run.busy = 5, {}
    assert run.ready()[0] == "c", "nothing else runs: there is no better time for another try"


@pytest.mark.slow
def test_another_config_is_run_again_and_what_is_left_out_counts_where_it_is_there(tmp_path: Path) -> None:
    root = toy_project(tmp_path / "project")
    subprocess.run([sys.executable, "-m", "thicket.cli", "compose"], cwd=root, check=True)

    def run(skip: str) -> str:
        command = [sys.executable, str(SCRIPT), "--jobs", "1", "--skip", skip]
        done = subprocess.run(command, cwd=root, env=by_forks(), capture_output=True, text=True, check=True)
        return done.stdout

    assert "3 of 3 stages are done" in run("^(?!data-|base-)")
    assert not re.search("(data|base)-", run("^(?!data-|base-)"))
    config = root / "build/config/data/sort.yaml"
    config.write_text(config.read_text(encoding="utf-8").replace("seed: 0", "seed: 1"), encoding="utf-8")
    again = run("^(?!data-|base-)")
    assert "data-sort" in again
    assert "data-reverse" not in again
    assert "base-tiny" not in again, "the base reads nothing"
    (root / "run/state.json").unlink()
    assert "1 of 1 stages are done" in run("^(?!specialist-sort-)"), "base and data are left out, and there"
