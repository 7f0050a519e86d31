"""Analyses on a GPU find what they find on a CPU: draws are the same, floats nearly.

Of the three that read the bank of perturbations, `discordance` asks the GPU nothing else; on a toy that solves nothing
it has no value.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from toys import DECLARED, changed, run, stages, toy_project

from thicket.stages.run import in_pipeline, run_stage

PAIR = ["tiny", "sort-grpo"]
MODELS: dict[str, list[str]] = {
    "capability": PAIR,
    "connectivity": [*PAIR, "reverse-grpo"],
    "cross-sampling": PAIR,
    "density": ["tiny"],
    "divergence": PAIR,
    "estimators": PAIR,
    "interference": PAIR,
    "overlap": ["tiny"],
    "scalpel": [*PAIR, "reverse-grpo"],
    "self-distillation": PAIR,
}
SMALL: dict[str, dict[str, Any]] = {
    "capability": {"ks": [1, 4], "samples": 2},
    "connectivity": {"points": 3},
    "cross-sampling": {"thresholds": [0.01, 0.0001]},
    "density": {"perturbations": 6},
    "overlap": {"perturbations": 6},
}
ALIKE = 0.02
"""Of a statistic: a token that falls the other way by rounding changes one item of a few."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    looks = {name: {"analysis": name, "models": models} for name, models in MODELS.items()}
    values = {**DECLARED["values"], "analysis": SMALL}
    root = toy_project(tmp_path_factory.mktemp("gpu") / "project", {**DECLARED, "analyses": looks, "values": values})
    run(root, "data-sort", "data-reverse", "base-tiny", "specialist-sort-grpo", "specialist-reverse-grpo")
    return root


def found(root: Path, name: str, accelerator: str) -> dict[str, float]:
    """Statistics and figures that have a value."""
    stage: Any = changed(stages(root)[f"analyze-{name}"], "trainer.accelerator", accelerator)
    stage = changed(
        stage, "code", {"thicket.ops": accelerator}
    )  # a bank of the other device is not taken for this one's
    run_stage(root, stage, in_pipeline(root, stage))
    result = json.loads((root / f"build/analysis/{name}/result.json").read_text(encoding="utf-8"))
    values = {f"{one['name']} {one['domain']} {one['of']}": one["value"] for one in result["statistics"]}
    values |= result["figures"].get("values", {})
    return {key: value for key, value in values.items() if value is not None}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", sorted(MODELS))
def test_as_on_a_cpu(project: Path, name: str) -> None:
    alone, on_gpu = (found(project, name, accelerator) for accelerator in ("cpu", "gpu"))
    assert alone
    assert on_gpu == pytest.approx(alone, rel=ALIKE, abs=ALIKE)
