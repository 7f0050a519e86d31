"""Stages on two processes of a CPU come to what they come to on one, and end together."""

import csv
import json
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from breaking import End, Killed, assert_close, break_step, kill, make, terminate
from forks import together
from safetensors.torch import load_file
from toys import DECLARED, VALUES, changed, run, stages, toy_project

from thicket.config.distillation import Gap, Reward, SampledToken
from thicket.config.shown import FILE, Shown
from thicket.config.stages import write_stage
from thicket.signals import Interrupted
from thicket.stages.run import in_pipeline, run_stage
from thicket.stages.several import Failed

METHODS = ("grpo", "dapo", "ppo", "sft", "rft", "ssd", "randopt", "es")
DOMAINS = ["sort", "odd"]
TEACHERS = ["sort-grpo", "odd-grpo"]
STUDENTS: dict[str, Any] = {
    "opd": {"base": "tiny", "method": "opd", "teachers": TEACHERS},
    "mixed": {"base": "tiny", "method": "mixed", "domains": DOMAINS, "budget_of": "opd"},
    "texts": {"base": "tiny", "method": "rft", "teachers": TEACHERS},
}
# A verifier that random text passes now and then: what would be earned, kept or gained otherwise?
DOMAIN = {**VALUES["domain"]["sort"], "verifier": {"type": "number", "tolerance": 1e9}}
ON_TEXTS: dict[str, Any] = {"steps": 4, "batch": 5, "micro_batch": 2, "select_samples": 2}
SEARCHED: dict[str, Any] = {
    "randopt": {"perturbations": 5, "members": 2, "items": 5},
    "es": {"population": 3, "steps": 2, "items": 5},
}
PAIR = ["tiny", "sort-grpo"]
OF_PAIRS: dict[str, Any] = {
    "cross-sampling": {"items": 5, "samples": 2, "thresholds": [1e-6]},
    "estimators": {"items": 5, "resamples": 3},
    "divergence": {"items": 5},
    "self-distillation": {"items": 5},
    "connectivity": {"items": 5, "points": 3, "samples": 2},
    "scalpel": {"items": 5},
}
ANALYSES: dict[str, Any] = {
    **OF_PAIRS,
    "density": {"perturbations": 3, "items": 4, "slice": 2},
    "interference": {"items": 5, "group": 4},
}
ROUNDING = 1e-5
"""Of weights of about 0.02 after a few steps: float32 sums in another order. Adam scales up what they leave of tiny
gradients, as those of a toy student that is as good as its teachers."""
OF_CURVES = 2e-3
"""Of their figures; those of that student are divergences of 1e-5, small differences of large numbers."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data, a base and two specialists to learn from."""
    specialists = {f"sort-{method}": {"base": "tiny", "domain": "sort", "method": method} for method in METHODS}
    methods = {**VALUES["method"], **dict.fromkeys(("sft", "rft", "ssd"), ON_TEXTS), **SEARCHED}
    declared = {
        **DECLARED,
        "domains": DOMAINS,
        "specialists": {**specialists, "odd-grpo": {"base": "tiny", "domain": "odd", "method": "grpo"}},
        "students": STUDENTS,
        "values": {**VALUES, "domain": dict.fromkeys(DOMAINS, DOMAIN), "method": methods, "analysis": ANALYSES},
        "analyses": {
            "density": {"analysis": "density", "models": ["tiny"], "domains": ["sort"]},
            **{name: {"analysis": name, "models": PAIR, "domains": ["sort"]} for name in OF_PAIRS},
            "interference": {"analysis": "interference", "models": ["tiny"], "domains": DOMAINS},
        },
    }
    root = toy_project(tmp_path_factory.mktemp("several") / "project", declared)
    run(root, "data-sort", "data-odd", "base-tiny", *(f"specialist-{name}" for name in TEACHERS))
    return root


@pytest.fixture(scope="module")
def unbroken(made: Path) -> dict[str, torch.Tensor]:
    """What one process makes of a specialist."""
    return load_file(made / "build/models/sort-grpo/model.safetensors")


def on(stage: Any, devices: int, strategy: str = "ddp") -> Any:
    return changed(changed(stage, "trainer.strategy", strategy), "trainer.devices", devices)


OPD: dict[str, Any] = {"method.steps": 4, "method.updates": 2, "method.micro_batch": 1}
"""So that a process goes through other rows in an update than in one over the whole rollout batch."""
SAMPLED: dict[str, Any] = {
    "method.signal": SampledToken(type="sampled_token"),
    "method.group": 2,
    "method.reward": Reward(weight=0.1),
}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "pretraining": ("base-tiny", {}),
    "grpo": ("specialist-sort-grpo", {"method.micro_batch": 3}),
    "dapo, two updates, KL": ("specialist-sort-dapo", {"method.steps": 4, "method.updates": 2, "method.kl": 0.1}),
    "ppo, two passes": ("specialist-sort-ppo", {"method.steps": 4, "method.passes": 2}),
    "ppo by fsdp": ("specialist-sort-ppo", {"method.steps": 4}),
    "opd": ("student-opd", {**OPD, "method.gap": Gap(), "method.on_policy": 0.5}),
    "opd by sampled tokens": ("student-opd", {**OPD, **SAMPLED}),
    "mixed": ("student-mixed", {"budget_of": "sort-grpo", "method.share": 0.6}),
    "sft": ("specialist-sort-sft", {}),
    "rft": ("specialist-sort-rft", {}),
    "rft of teachers": ("student-texts", {}),
    "ssd": ("specialist-sort-ssd", {}),
    "randopt": ("specialist-sort-randopt", {}),
    "es": ("specialist-sort-es", {}),
    "evaluation": ("evaluate-tiny", {"sampler.batch": 4}),
    "analysis": ("analyze-density", {}),
    **{f"analysis {name}": (f"analyze-{name}", {}) for name in (*OF_PAIRS, "interference")},
}


def case(root: Path, name: str) -> Any:
    stage_name, changes = CASES[name]
    stage = stages(root)[stage_name]
    for path, value in changes.items():
        stage = changed(stage, path, value)
    return stage if name == "evaluation" else changed(stage, "name", f"several-{list(CASES).index(name)}")


def results(root: Path, stage: Any) -> dict[str, bytes]:
    """What the stage made, without what names the number of devices and the time."""
    targets = in_pipeline(root, stage)
    files = {path.name: path.read_bytes() for path in targets.artifact.iterdir() if path.name != "provenance.json"}
    return files | ({"curves": targets.curves.read_bytes()} if targets.curves.is_file() else {})


@pytest.fixture(scope="module")
def both(made: Path) -> dict[str, tuple[dict[str, bytes], dict[str, bytes]]]:
    """Every case's results on one process and on two, which are started as torchrun does it."""
    scores = made / "build/resume/scores"
    one, files = dict[str, dict[str, bytes]](), list[str]()
    for name in CASES:
        stage = case(made, name)
        run_stage(made, stage, in_pipeline(made, stage))
        one[name] = results(made, stage)
        files.append(f"build/config/several/{name.partition(',')[0]}.yaml")
        write_stage(made / files[-1], on(stage, 2, "fsdp" if "fsdp" in name else "ddp"))
    for kept in (*scores.iterdir(), *(made / "build/resume/analysis").rglob("*.npz")):
        kept.unlink()
    together(made, ["run", *files], made / "said")
    assert (made / "said/1").read_text() == "", "only the first process says how far the work is"
    return {name: (one[name], results(made, case(made, name))) for name in CASES}


def samples(made: dict[str, bytes]) -> list[Shown]:
    return [Shown(**json.loads(line)) for line in made.get(FILE, b"").decode().splitlines()]


@pytest.mark.parametrize("name", CASES)
def test_two_equal_one(both: Any, name: str, tmp_path: Path) -> None:
    one, two = both[name]
    assert one.keys() == two.keys()
    for kind in one.keys() - {"model.safetensors", "curves", FILE}:
        assert one[kind] == two[kind], kind
    for shown, other in zip(samples(one), samples(two), strict=True):
        assert replace(shown, divergence=None) == replace(other, divergence=None)
        assert [one.divergence is not None for one in (shown, other)] == [name.startswith("opd")] * 2
        assert (other.divergence or 0.0) == pytest.approx(shown.divergence or 0.0, rel=OF_CURVES, abs=1e-6)
    if "model.safetensors" in one:
        (tmp_path / "one").write_bytes(one["model.safetensors"])
        (tmp_path / "two").write_bytes(two["model.safetensors"])
        assert_close(load_file(tmp_path / "two"), load_file(tmp_path / "one"), ROUNDING)
    if "curves" in one:
        rows, others = (list(csv.DictReader(made["curves"].decode().splitlines())) for made in (one, two))
        for row, other in zip(rows, others, strict=True):
            for column, value in row.items():
                assert (value == "") == (other[column] == "")
                assert float(other[column] or 0) == pytest.approx(float(value or 0), rel=OF_CURVES, abs=1e-6), column


# -- broken off --------------------------------------------------------------------------------------------------------


def children() -> list[int]:
    """Processes that this one has started and that run stages."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
                if int(parent) == os.getpid() and b"thicket.stages.several" in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


@pytest.fixture(autouse=True)
def nobody_stays() -> Iterator[None]:
    yield
    assert not children()


@pytest.mark.parametrize(
    ("end", "before", "after", "strategy"),
    [(End(terminate, Interrupted), 2, 1, "fsdp"), (End(kill, Killed), 1, 2, "ddp")],
    ids=["stopped on two, gone on with on one", "killed on one, gone on with on two"],
)
def test_a_run_goes_on_with_another_number_of_processes(
    made: Path, unbroken: Any, monkeypatch: pytest.MonkeyPatch, end: End, before: int, after: int, strategy: str
) -> None:
    stage = stages(made)["specialist-sort-grpo"]
    with monkeypatch.context() as patched:
        break_step(patched, 3, end)
        with pytest.raises(end.raised):
            run_stage(made, on(stage, before, strategy), in_pipeline(made, stage))
    (checkpoint,) = (made / "build/resume").glob("specialist-sort-grpo-*/last.ckpt")
    steps = 4 if end.raised is Interrupted else 2
    assert torch.load(checkpoint, weights_only=False)["thicket"]["step"] == steps
    assert_close(make(made, on(stage, after, strategy)), unbroken, ROUNDING)


def test_one_that_is_killed_ends_all(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = stages(made)["specialist-sort-grpo"]

    def strike() -> None:
        (other,) = children()
        os.kill(other, signal.SIGKILL)

    break_step(monkeypatch, 3, End(strike, Failed))
    with pytest.raises(Failed, match="process 1 of 2 was ended by SIGKILL"):
        run_stage(made, on(stage, 2), in_pipeline(made, stage))
