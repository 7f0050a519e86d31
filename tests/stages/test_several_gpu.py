"""What test_several.py holds processes of a CPU to, on two GPUs: NCCL sums, decoding and updates on both."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from toys import changed, run, stages, toy_project

from thicket.stages.run import in_pipeline, run_stage

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices"),
]
ROUNDING = 1e-5


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = toy_project(tmp_path_factory.mktemp("several") / "project")
    run(root, "data-sort", "data-reverse", "base-tiny", "specialist-sort-grpo", "specialist-reverse-grpo")
    return root


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
@pytest.mark.parametrize("name", ["specialist-sort-grpo", "student-opd"])
def test_two_gpus_equal_one(made: Path, name: str, strategy: str) -> None:
    stage = changed(stages(made)[name], "trainer.accelerator", "gpu")
    target = in_pipeline(made, stage)
    run_stage(made, stage, target)
    one = load_file(target.artifact / "model.safetensors")
    several = changed(changed(stage, "trainer.strategy", strategy), "trainer.devices", 2)
    run_stage(made, several, target)
    two = load_file(target.artifact / "model.safetensors")
    for key in one:
        torch.testing.assert_close(two[key], one[key], rtol=0, atol=ROUNDING)


def test_two_gpus_score_as_one(made: Path) -> None:
    stage = changed(changed(stages(made)["evaluate-tiny"], "trainer.accelerator", "gpu"), "sampler.batch", 4)
    scores = made / "build/evaluation/tiny/items.csv"
    run_stage(made, stage, in_pipeline(made, stage))
    one = scores.read_text()
    for kept in (made / "build/resume/scores").iterdir():
        kept.unlink()
    several = changed(changed(stage, "trainer.strategy", "ddp"), "trainer.devices", 2)
    run_stage(made, several, in_pipeline(made, several))
    assert scores.read_text() == one
