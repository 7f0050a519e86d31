"""Stages that are killed while responses are written: what was drawn is not drawn again, and the result is the same."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from breaking import End, Killed, break_step, counted, counts, kill, make
from toys import DECLARED, ROOT, changed, declare, stages

from thicket.sampling import writing
from thicket.sampling.rollout_log import FILE, RolloutLog
from thicket.stages.run import in_pipeline, run_stage
from thicket.training import policy
from thicket.training.loop import CHECKPOINT

EVERY = 2
"""Steps of the decode loop between two records."""


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "TOLD_AT", EVERY)


def kept(root: Path, stage: Any) -> Path:
    """The folder that a stage goes on from."""
    (folder,) = (root / "build/resume").glob(f"{stage.stage}-{stage.name}-*/")
    return folder


TRAINED: dict[str, tuple[str, dict[str, Any], float]] = {
    "grpo, before a checkpoint": ("specialist-sort-grpo", {}, 0.2),
    "grpo, after one": ("specialist-sort-grpo", {}, 0.9),
    "dapo, several rounds, few slots": ("specialist-sort-dapo", {"method.updates": 2, "sampler.batch": 6}, 0.6),
    "opd, half of it by teachers": ("student-opd", {"method.on_policy": 0.5}, 0.5),
}
"""Name → stage, changes, and the share of the decode loop's steps after which it is killed."""


@pytest.mark.parametrize(("name", "changes", "share"), TRAINED.values(), ids=TRAINED)
def test_a_training_that_is_killed_within_a_batch_ends_with_the_same_weights(
    project: Path, name: str, changes: dict[str, Any], share: float, capsys: pytest.CaptureFixture[str]
) -> None:
    """To the bit: updates read the tokens, not the rounding of the log-probabilities that they were drawn with."""
    stage = stages(project)[name]
    for path, value in {"trainer.checkpoint_every": 4, **changes}.items():
        stage = changed(stage, path, value)
    targets = in_pipeline(project, stage)
    with counted() as steps:
        unbroken = make(project, stage)
    spent, curves = counts(targets.metrics), targets.curves.read_text()
    at = round(share * len(steps))
    with counted(at), pytest.raises(Killed):
        run_stage(project, stage, targets)
    capsys.readouterr()
    with counted() as left:
        resumed = make(project, stage)
    assert f"{FILE}: of " in capsys.readouterr().out
    assert len(left) <= len(steps) - at + EVERY, "no more is done again than since the last record"
    assert all(resumed[key].equal(unbroken[key]) for key in unbroken)
    assert targets.curves.read_text() == curves
    assert counts(targets.metrics) == spent


def kill_at(root: Path, stage: Any, step: int) -> list[int]:
    """Kills a training between two steps; the slots of the decode loop's steps until then."""
    with pytest.MonkeyPatch.context() as patched, counted() as steps:
        break_step(patched, step, End(kill, Killed))
        with pytest.raises(Killed):
            run_stage(root, stage, in_pipeline(root, stage))
    return steps


def test_the_log_holds_what_the_last_checkpoint_does_not(project: Path) -> None:
    """Checkpoints come after the second and the fourth step."""
    stage = changed(stages(project)["specialist-sort-grpo"], "method.select_every", 0)
    for step, calls in ((2, 0), (3, 1), (4, 0), (5, 1)):
        kill_at(project, stage, step)
        assert (kept(project, stage) / CHECKPOINT).is_file()
        assert RolloutLog(kept(project, stage)).calls == calls


def test_weights_that_come_out_otherwise_draw_anew(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine with another rounding: its steps since the checkpoint are not those of the log."""
    stage = changed(stages(project)["specialist-sort-grpo"], "trainer.checkpoint_every", 10)
    first = kill_at(project, stage, 1)
    kill_at(project, stage, 4)
    rate = policy.learning_rate
    monkeypatch.setattr(policy, "learning_rate", lambda *given: 1.0001 * rate(*given))
    with counted() as left:
        resumed = make(project, stage)
    with counted() as steps:
        unbroken = make(project, stage)
    assert left == steps[len(first) :], "the first batch is of the start's weights, which are the same"
    assert all(resumed[key].equal(unbroken[key]) for key in unbroken)


def test_samples_go_on_within_a_piece(project: Path) -> None:
    ssd = {"base": "tiny", "domain": "sort", "method": "ssd", "set": {"method.steps": 2, "method.samples": 2}}
    declare(project, {**DECLARED, "specialists": {**DECLARED["specialists"], "sort-ssd": ssd}})
    stage = stages(project)["specialist-sort-ssd"]
    with counted() as steps:
        unbroken = make(project, stage)
    with counted(6), pytest.raises(Killed):
        run_stage(project, stage, in_pipeline(project, stage))
    assert RolloutLog(kept(project, stage) / "samples").calls == 1
    with counted() as left:
        resumed = make(project, stage)
    assert len(left) <= len(steps) - 6 + EVERY
    assert all(resumed[key].equal(unbroken[key]) for key in unbroken)


def test_an_evaluation_goes_on(project: Path) -> None:
    stage = changed(stages(project)["evaluate-tiny"], "sampler.batch", 4)
    targets = in_pipeline(project, stage)
    with counted() as steps:
        run_stage(project, stage, targets)
    metrics = json.loads((targets.artifact / "metrics.json").read_text())
    for path in (project / "build/resume/scores").rglob("*.json*"):
        path.unlink()
    with counted(len(steps) // 2), pytest.raises(Killed):
        run_stage(project, stage, targets)
    with counted() as left:
        run_stage(project, stage, targets)
    assert len(left) <= len(steps) // 2 + 1 + EVERY
    assert json.loads((targets.artifact / "metrics.json").read_text()) == metrics


KILLED = """
import os, signal
from pathlib import Path
from toys import changed, stages
from thicket.sampling import writing
from thicket.sampling.board import Board
from thicket.stages.run import in_pipeline, run_stage

writing.TOLD_AT = {every}
taken, step = [0], Board.step
def dying(self, reach):
    taken[0] += 1
    if taken[0] > {at}:
        os.kill(os.getpid(), signal.SIGKILL)
    step(self, reach)
Board.step = dying
root = Path()
stage = stages(root)["specialist-sort-grpo"]
run_stage(root, stage, in_pipeline(root, stage))
"""


def test_a_process_that_is_killed_by_the_system(project: Path) -> None:
    stage = stages(project)["specialist-sort-grpo"]
    with counted() as steps:
        unbroken = make(project, stage)
    at = len(steps) * 2 // 3 + 1
    code = f"import sys; sys.path.insert(0, {str(ROOT / 'tests')!r})\n{KILLED.format(every=EVERY, at=at)}"
    done = subprocess.run([sys.executable, "-c", code], cwd=project, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    with counted() as left:
        resumed = make(project, stage)
    assert len(left) <= len(steps) - at + EVERY
    assert all(resumed[key].equal(unbroken[key]) for key in unbroken)
