"""What test_several.py holds processes of a CPU to, on two GPUs: NCCL sums, decoding and updates on both."""

from pathlib import Path
from typing import Any

import pytest
import torch
from breaking import End, Killed, assert_close, break_step, kill, terminate
from safetensors.torch import load_file
from toys import changed, run, stages, toy_project

from thicket.signals import Interrupted
from thicket.stages.run import in_pipeline, run_stage

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices"),
]
ROUNDING = 1e-5
"""Of weights of about 0.02: float32 sums in another order, scaled up by Adam (test_several.py)."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = toy_project(tmp_path_factory.mktemp("several") / "project")
    run(root, "data-sort", "data-reverse", "base-tiny", "specialist-sort-grpo", "specialist-reverse-grpo")
    return root


def on(stage: Any, devices: int, strategy: str) -> Any:
    stage = changed(changed(stage, "trainer.accelerator", "gpu"), "trainer.devices", devices)
    return changed(stage, "trainer.strategy", strategy if devices > 1 else "single")


def weights(made: Path, stage: Any) -> dict[str, torch.Tensor]:
    return load_file(in_pipeline(made, stage).artifact / "model.safetensors")


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
@pytest.mark.parametrize("name", ["specialist-sort-grpo", "student-opd"])
def test_two_gpus_equal_one(made: Path, name: str, strategy: str) -> None:
    stage = stages(made)[name]
    run_stage(made, on(stage, 1, strategy), in_pipeline(made, stage))
    one = weights(made, stage)
    run_stage(made, on(stage, 2, strategy), in_pipeline(made, stage))
    assert_close(weights(made, stage), one, ROUNDING)


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
@pytest.mark.parametrize(
    ("end", "before", "after"),
    [(End(terminate, Interrupted), 2, 1), (End(kill, Killed), 2, 1), (End(terminate, Interrupted), 1, 2)],
    ids=["stopped on two", "killed on two", "stopped on one"],
)
def test_a_run_goes_on_with_another_number_of_gpus(
    made: Path, monkeypatch: pytest.MonkeyPatch, end: End, before: int, after: int, strategy: str
) -> None:
    stage = stages(made)["specialist-sort-grpo"]
    run_stage(made, on(stage, 1, strategy), in_pipeline(made, stage))
    unbroken = weights(made, stage)
    with monkeypatch.context() as patched:
        break_step(patched, 3, end)
        with pytest.raises(end.raised):
            run_stage(made, on(stage, before, strategy), in_pipeline(made, stage))
    (checkpoint,) = (made / "build/resume").glob("specialist-sort-grpo-*/last.ckpt")
    assert 0 < torch.load(checkpoint, weights_only=True)["thicket"]["step"] < 5
    run_stage(made, on(stage, after, strategy), in_pipeline(made, stage))
    assert_close(weights(made, stage), unbroken, ROUNDING)


def test_two_gpus_score_as_one(made: Path) -> None:
    stage = on(changed(stages(made)["evaluate-tiny"], "sampler.batch", 4), 1, "ddp")
    scores = made / "build/evaluation/tiny/items.csv"
    run_stage(made, stage, in_pipeline(made, stage))
    one = scores.read_text()
    for kept in (made / "build/resume/scores").iterdir():
        kept.unlink()
    run_stage(made, on(stage, 2, "ddp"), in_pipeline(made, stage))
    assert scores.read_text() == one
