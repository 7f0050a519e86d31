"""Every way to a specialist on a GPU, in bfloat16 over float32 weights: what the other tests run on a CPU."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from test_every_method import DECLARED_HERE, NAMES
from toys import changed, run, stages, toy_project

from thicket.stages.run import in_pipeline, run_stage

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = toy_project(tmp_path_factory.mktemp("gpu") / "project", DECLARED_HERE)
    run(root, "data-sort")
    for name in ("base-moe", "specialist-sort-randopt", "specialist-sort-sft"):
        on_gpu(root, name)
    return root


def on_gpu(root: Path, name: str) -> None:
    stage: Any = changed(changed(stages(root)[name], "trainer.accelerator", "gpu"), "trainer.precision", "bf16-mixed")
    run_stage(root, stage, in_pipeline(root, stage))


@pytest.mark.parametrize("name", NAMES)
def test_a_specialist_is_made_and_scored(made: Path, name: str) -> None:
    on_gpu(made, f"specialist-{name}")
    on_gpu(made, f"evaluate-{name}")
    scores = json.loads((made / f"build/evaluation/{name}/metrics.json").read_text())["domains"]["sort"]
    assert 0 <= scores["pass@1"] <= 1
    times = json.loads((made / f"build/times/{name}.json").read_text())
    assert torch.cuda.get_device_name() in times["device"]
