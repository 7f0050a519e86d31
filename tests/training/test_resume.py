"""A run that was killed and goes on ends with the very weights of an unbroken one."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from toys import changed, stages

from thicket.config.on_policy import Lora
from thicket.signals import Interrupted
from thicket.stages.run import in_pipeline, run_stage
from thicket.training.loop import Steps


class Killed(BaseException):
    """Stands for SIGKILL: nothing of the program handles it."""


def kill() -> None:
    raise Killed


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def make(root: Path, stage: Any) -> dict[str, Any]:
    """Runs a stage and returns its weights."""
    targets = in_pipeline(root, stage)
    run_stage(root, stage, targets)
    return load_file(targets.artifact / "model.safetensors")


def break_off(monkeypatch: pytest.MonkeyPatch, at: int, how: Callable[[], None]) -> None:
    """The next training ends in the given way, in the middle of step `at`."""
    with_step = Steps.training_step

    def training_step(self: Steps, batch: Any, batch_index: int) -> None:
        if self.step == at:
            how()
        with_step(self, batch, batch_index)

    monkeypatch.setattr(Steps, "training_step", training_step)


STAGES = {
    "pretraining": ("base-tiny", {}),
    "grpo": ("specialist-sort-grpo", {}),
    "grpo, two updates, KL, best": (
        "specialist-sort-grpo",
        {"method.updates": 2, "method.kl": 0.1, "method.publish": "best"},
    ),
    "dapo, several rounds": ("specialist-sort-dapo", {"method.updates": 2, "method.weighting.type": "high_kl"}),
    "ppo, the most diverging tokens": ("specialist-sort-ppo", {"method.passes": 2, "method.top.share": 0.4}),
    "adapters": ("specialist-sort-grpo", {"method.lora": Lora(rank=2, alpha=4.0)}),
    "opd": ("student-opd", {}),
}


@pytest.mark.parametrize(("name", "changes"), STAGES.values(), ids=STAGES)
@pytest.mark.parametrize(("how", "ending"), [(kill, Killed), (terminate, Interrupted)], ids=["SIGKILL", "SIGTERM"])
def test_resumed_equals_unbroken(
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    changes: dict[str, Any],
    how: Callable[[], None],
    ending: type[BaseException],
) -> None:
    stage = stages(project)[name]
    for path, value in changes.items():
        stage = changed(stage, path, value)
    unbroken = make(project, stage)
    targets = in_pipeline(project, stage)
    metrics, curves = targets.metrics.read_text(), targets.curves.read_text()

    with monkeypatch.context() as patched:
        break_off(patched, at=3, how=how)
        with pytest.raises(ending):
            run_stage(project, stage, targets)
    assert (targets.artifact / "model.safetensors").is_file(), "what was there before is still there"
    resumed = make(project, stage)

    assert resumed.keys() == unbroken.keys()
    assert all(resumed[key].equal(unbroken[key]) for key in unbroken)
    assert targets.curves.read_text() == curves
    assert _counts(targets.metrics.read_text()) == _counts(metrics)


def _counts(ledger: str) -> dict[str, Any]:
    """The figures of a ledger that the seed fixes."""
    fixed = ("tokens_generated", "tokens_trained", "flops", "steps", "selection_pass@1")
    return {name: json.loads(ledger)[name] for name in fixed}


def test_equal_seeds_give_equal_weights_and_others_do_not(project: Path) -> None:
    stage = stages(project)["specialist-sort-grpo"]
    first, again = make(project, stage), make(project, stage)
    other = make(project, changed(stage, "seed", 1))
    assert all(first[key].equal(again[key]) for key in first)
    assert not all(first[key].equal(other[key]) for key in first)


def test_the_resume_folder_goes_when_the_artifact_is_there(project: Path) -> None:
    make(project, stages(project)["specialist-sort-grpo"])
    assert not [path for path in (project / "build/resume").rglob("*") if path.suffix == ".ckpt"]
