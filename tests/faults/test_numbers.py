"""Numbers that break down."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from commands import Run
from safetensors.torch import load_file, save_file
from toys import DECLARED, changed, declare, stages

from thicket.stages.run import in_pipeline
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
