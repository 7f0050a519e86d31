"""The default experiment on toy sizes: everything that the real one does, in seconds."""

import shutil
from pathlib import Path
from typing import Any

from thicket.config.project import Project
from thicket.config.yamlfile import to_yaml
from thicket.plan.dvcfile import dvcfile
from thicket.plan.pipeline import pipeline
from thicket.stages.run import in_pipeline, run_stage

ROOT = Path(__file__).parents[1]
# A model of this size solves nothing: the length penalty is the reward that it can learn from.
DOMAIN = {"splits.train": 24, "splits.selection": 4, "splits.test": 6, "length_penalty": 0.5}
ON_POLICY = {"prompts": 4, "micro_batch": 8, "select_every": 2, "select_samples": 2}
VALUES: dict[str, dict[str, dict[str, Any]]] = {
    "base": {
        "tiny": {
            "architecture": {"layers": 1, "width": 16, "heads": 2, "mlp_width": 24},
            "steps": 6,
            "batch": 8,
            "optimizer.warmup": 2,
        }
    },
    "domain": dict.fromkeys(("sort", "reverse", "shift", "odd"), DOMAIN),
    "method": {
        **{name: {**ON_POLICY, "group": 4, "steps": 6} for name in ("grpo", "dapo", "ppo")},
        "opd": {**ON_POLICY, "steps": 6},
        "mixed": {**ON_POLICY, "group": 4},
    },
    "sampler": {"torch": {"batch": 64}},
    "trainer": {"default": {"accelerator": "cpu", "checkpoint_every": 2}},
    "evaluation": {"default": {"samples": 2, "ks": [1, 2], "resamples": 50}},
}
DECLARED: dict[str, Any] = {
    "experiment": "toy",
    "seed": 0,
    "domains": ["sort", "reverse"],
    "bases": {"tiny": {"base": "tiny"}},
    "specialists": {
        "sort-grpo": {"base": "tiny", "domain": "sort", "method": "grpo"},
        "reverse-grpo": {"base": "tiny", "domain": "reverse", "method": "grpo"},
    },
    "students": {"opd": {"base": "tiny", "method": "opd", "teachers": ["sort-grpo", "reverse-grpo"]}},
    "values": VALUES,
}


def declare(root: Path, declared: dict[str, Any]) -> None:
    """Writes params.yaml, and dvc.yaml as `thicket plan` would."""
    (root / "params.yaml").write_text(to_yaml(declared), encoding="utf-8")
    (root / "dvc.yaml").write_text(dvcfile(root, pipeline(Project(root))), encoding="utf-8")


def toy_project(root: Path, declared: dict[str, Any] = DECLARED) -> Path:
    """A project folder with the library of choices that ships, and toy sizes over it."""
    root.mkdir(parents=True, exist_ok=True)
    shutil.copytree(ROOT / "conf", root / "conf")
    declare(root, declared)
    return root


def stages(root: Path) -> dict[str, Any]:
    """The resolved config of every stage, by its name in the DAG."""
    return {planned.resolved.id: planned.resolved.stage for planned in pipeline(Project(root))}


def run(root: Path, *names: str) -> None:
    """Runs stages in this process, as the pipeline would."""
    known = stages(root)
    for name in names:
        stage: Any = known[name]
        run_stage(root, stage, in_pipeline(root, stage))


def changed(config: Any, path: str, value: Any) -> Any:
    """A copy of a config in which the value at a dotted path is another."""
    head, _, rest = path.partition(".")
    return config.model_copy(update={head: changed(getattr(config, head), rest, value) if rest else value})
