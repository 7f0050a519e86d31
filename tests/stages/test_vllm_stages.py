"""Stages with the sampler vllm, beside a stand-in for it: its engine answers as the policy would at every call."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from fake_vllm import Engines, FakeLLM, installed
from toys import DECLARED, ON_POLICY, VALUES, changed, run, stages, toy_project

from thicket.sampling.vllm import VllmSampler
from thicket.sampling.vllm_engine import as_in_files
from thicket.stages.run import in_pipeline, run_stage

SAMPLER = {"vllm": {"batch": 64, "dtype": "float32"}}
METHODS = {
    "grpo-lora": {**ON_POLICY, "group": 4, "steps": 2},
    "ssd": {"samples": 2, "steps": 2, "batch": 8, "micro_batch": 8, "select_samples": 2},
    "randopt": {"perturbations": 4, "members": 2, "items": 4},
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = {name: {"base": "tiny", "domain": "sort", "method": name} for name in METHODS}
    declared = {
        **DECLARED,
        "sampler": "vllm",
        "specialists": DECLARED["specialists"] | made,
        "values": {**VALUES, "sampler": SAMPLER, "method": VALUES["method"] | METHODS},
    }
    root = toy_project(tmp_path_factory.mktemp("toy") / "project", declared)
    run(root, "data-sort", "data-reverse", "base-tiny")
    return root


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Engines]:
    """Whenever a model is asked, the engine has its weights in the end."""
    respond = VllmSampler.respond

    def checked(self: VllmSampler, model: Any, *rest: Any) -> Any:
        answered = respond(self, model, *rest)
        held = self._engine._llm.model.state_dict()
        for name, tensor in as_in_files(model).items():
            torch.testing.assert_close(held[name], tensor, rtol=0, atol=0)
        return answered

    monkeypatch.setattr(VllmSampler, "respond", checked)
    with installed() as made:
        yield made


def calls(engine: FakeLLM) -> list[float]:
    """The temperature of each call."""
    return [params[0]["temperature"] for _, params in engine.generated]


@pytest.mark.parametrize("name", ["sort-grpo", "grpo-lora"])
def test_policy_gradients(project: Path, engines: Engines, name: str) -> None:
    run(project, f"specialist-{name}")
    engine, steps = engines.only, 6 if name == "sort-grpo" else 2
    assert len(engine.generated) == steps + steps // 2, "each step's rollouts, and every other step the selection items"
    assert engine.synced == steps + 1, "after each step, and at the start"
    rows = (project / "build/curves" / f"{name}.csv").read_text().splitlines()
    assert len(rows) == 1 + steps


def test_samples_to_imitate_and_the_score_afterwards(project: Path, engines: Engines) -> None:
    run(project, "specialist-ssd")
    assert len(engines.only.generated) == 2
    assert engines.only.synced == 2, "the start's weights, and those that were trained"


def test_a_search_scores_its_candidates_with_thickets_own_loop(project: Path, engines: Engines) -> None:
    run(project, "specialist-randopt")
    assert calls(engines.only) == [0.0, 0.0], "the vote of the two members on the selection items"
    assert engines.only.synced == 2


def test_an_evaluation_and_its_cache_of_scores(project: Path, engines: Engines) -> None:
    run(project, "evaluate-tiny")
    assert calls(engines.only) == [1.0, 0.0] * 2, "samples and the greedy response, on two domains"
    assert engines.only.synced == 1
    first = json.loads((project / "build/evaluation/tiny/metrics.json").read_text())["domains"]
    run(project, "evaluate-tiny")
    assert len(engines.only.generated) == 4, "what is known is not written again"
    assert first == json.loads((project / "build/evaluation/tiny/metrics.json").read_text())["domains"]
    other = changed(stages(project)["evaluate-tiny"], "sampler.dtype", "bfloat16")
    run_stage(project, other, in_pipeline(project, other))
    assert len(engines.started) == 2, "what is computed in another type is written again, by another engine"


def test_an_edit_of_this_sampler_runs_the_stages_again_that_use_it(project: Path) -> None:
    known = stages(project)
    assert "thicket.sampling.vllm_engine" in known["evaluate-tiny"].code
    assert "thicket.sampling.vllm_engine" in known["specialist-sort-grpo"].code
