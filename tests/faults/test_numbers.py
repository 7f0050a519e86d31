"""Numbers that break down, and clocks that jump."""

import datetime
import itertools
import math
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from commands import Run
from safetensors.torch import load_file, save_file
from toys import DECLARED, changed, declare, stages

from thicket.stages.run import in_pipeline
from thicket.times import read_times
from thicket.training.policy import PolicyTraining
from thicket.training.pretrain import Pretraining


def test_a_training_that_diverges_names_the_step_and_the_figure(project: Path, said: Run) -> None:
    stage = changed(stages(project)["base-tiny"], "base.optimizer.lr", 1e30)
    artifact = in_pipeline(project, stage).artifact / "model.safetensors"
    before = artifact.read_bytes()
    failed = said(project, stage)
    assert failed.status == 1
    assert "Error: step 2: gradient_norm is nan: the training has broken down" in failed.err
    assert artifact.read_bytes() == before


@pytest.mark.parametrize("step", [0, 4])
def test_a_bad_gradient_never_gets_into_a_checkpoint(
    project: Path, monkeypatch: pytest.MonkeyPatch, said: Run, step: int
) -> None:
    stage = stages(project)["specialist-sort-grpo"]
    weights = in_pipeline(project, stage).artifact / "model.safetensors"
    before, learn = load_file(weights), PolicyTraining._learn

    def bad(self: PolicyTraining, rollouts: Any) -> Any:
        if self.step == step:
            next(self.model.parameters()).register_hook(lambda gradient: gradient * math.inf)
        return learn(self, rollouts)

    with monkeypatch.context() as patched:
        patched.setattr(PolicyTraining, "_learn", bad)
        failed = said(project, stage)
    assert failed.status == 1
    assert f"Error: step {step + 1}: gradient_norm is " in failed.err
    for checkpoint in (project / "build/resume").glob("*/last.ckpt"):
        held = torch.load(checkpoint, weights_only=False)
        assert held["thicket"]["step"] == step
        assert all(tensor.isfinite().all() for tensor in held["state_dict"].values())
    again = said(project, stage)
    assert again.status == 0
    assert ("goes on from step 4" in again.out) == (step == 4)
    after = load_file(weights)
    assert all(after[key].equal(before[key]) for key in before)


def test_a_loss_that_is_no_number(project: Path, monkeypatch: pytest.MonkeyPatch, said: Run) -> None:
    step = Pretraining.take_step
    monkeypatch.setattr(Pretraining, "take_step", lambda self: {**step(self), "loss": math.nan})
    failed = said(project, stages(project)["base-tiny"])
    assert failed.status == 1
    assert "Error: step 1: loss is nan" in failed.err


def test_weights_that_are_no_numbers_are_not_published(project: Path, said: Run) -> None:
    soup = {"base": "tiny", "method": "soup", "teachers": ["sort-grpo", "reverse-grpo"]}
    declare(project, {**DECLARED, "students": {"soup": soup}})
    path = project / "build/models/sort-grpo/model.safetensors"
    held = load_file(path)
    name = sorted(held)[0]
    held[name].view(-1)[7] = math.nan
    save_file(held, path, {"format": "pt"})
    (path.parent / "provenance.json").write_text((path.parent / "provenance.json").read_text().replace("weights", "w"))
    failed = said(project, stages(project)["student-soup"])
    assert failed.status == 1
    assert f"not written: the weight {name} has values that are NaN or infinite" in failed.err
    assert not (project / "build/models/soup").exists()


def test_a_clock_that_jumps_back_changes_nothing(project: Path, monkeypatch: pytest.MonkeyPatch, said: Run) -> None:
    """An hour at every look: durations are not taken from the clock of the day."""
    stage = stages(project)["specialist-sort-grpo"]
    targets = in_pipeline(project, stage)
    before = load_file(targets.artifact / "model.safetensors")
    now, jumps = time.time(), itertools.count(1)

    class Jumping(datetime.datetime):
        @classmethod
        def now(cls, tz: Any = None) -> "Jumping":
            return cls.fromtimestamp(now - 3600 * next(jumps), tz)

    monkeypatch.setattr(time, "time", lambda: now - 3600 * next(jumps))
    monkeypatch.setattr("thicket.stages.run.datetime", Jumping)
    done = said(project, stage)
    assert done.status == 0
    assert not [line for line in done.out.splitlines() if "-" in line.partition("s left")[0][-6:]]
    after = load_file(targets.artifact / "model.safetensors")
    assert all(after[key].equal(before[key]) for key in before)
    times = read_times(targets.times, targets.artifact)
    assert times["started"] > times["finished"], "the clock did jump"
    assert 0 < times["wall_seconds"] < 60
    assert all(0 <= seconds < 60 for seconds in times["phase_seconds"].values())
    declare(project, {**DECLARED, "students": {"soup": {**DECLARED["students"]["opd"], "method": "soup"}}})
    merging = stages(project)["student-soup"]
    assert said(project, merging).status == 0
    targets = in_pipeline(project, merging)
    assert 0 < read_times(targets.times, targets.artifact)["wall_seconds"] < 60
