"""A made-up run: files as the stages write them, for scores that a test chooses."""

import csv
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from thicket.config.stages import ReportedModel, ReportStage
from thicket.reporting.compare import compare
from thicket.reporting.inputs import read_inputs
from thicket.reporting.results import Results
from thicket.times import write_times

SAMPLES = 4
Correct = dict[str, dict[str, list[int]]]
"""Model → domain → correct samples, out of `SAMPLES`, of each item."""
SETTINGS = {
    "samples": SAMPLES,
    "ks": [1, 2],
    "temperature": 1.0,
    "top_k": 0,
    "top_p": 1.0,
    "resamples": 400,
    "confidence": 0.9,
    "split": "test",
}
PLAIN = {"members": 0, "votes": 1, "temperature": 1.0, "top_k": 0, "top_p": 1.0, "template": None}


def base(name: str) -> ReportedModel:
    return ReportedModel(name=name, kind="base", method="pretrain", type="pretrain")


def seed_of(name: str) -> int:
    """1 of s1-…, 0 of a name that does not say."""
    return int(name[1]) if re.match(r"s\d-", name) else 0


def specialist(name: str, start: str, domain: str, method: str = "grpo") -> ReportedModel:
    made = {"kind": "specialist", "method": method, "type": method.replace("-", "_"), "base": start, "domain": domain}
    return ReportedModel.model_validate({"name": name, "seed": seed_of(name), **made})


def student(name: str, start: str, teachers: list[str], method: str = "opd") -> ReportedModel:
    made = {"kind": "student", "method": method, "type": method.replace("-", "_"), "base": start, "teachers": teachers}
    return ReportedModel.model_validate({"name": name, "seed": seed_of(name), **made})


def weights_of(name: str) -> str:
    """A hash of a model's weights."""
    return hashlib.sha256(name.encode()).hexdigest()


def _around(name: str, value: float) -> dict[str, float]:
    return {name: value, f"{name}_low": max(0.0, value - 0.1), f"{name}_high": min(1.0, value + 0.1)}


def as_vote(root: Path, name: str, **answering: Any) -> None:
    """Makes a model's scores those of a vote of four responses of five tokens, each with its own prompt of ten."""
    folder = root / f"build/evaluation/{name}"
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    metrics["answering"] |= answering
    for figures in metrics["domains"].values():
        for figure in [figure for figure in figures if figure.startswith(("pass@2", "greedy"))]:
            del figures[figure]
        figures |= {"calls": 4.0, "prompt": 40.0, "tokens": 20.0, "flops": 12e6}
    (folder / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
    rows = (folder / "items.csv").read_text(encoding="utf-8").splitlines()
    (folder / "items.csv").write_text("\n".join([rows[0], *map(_one_answer, rows[1:])]) + "\n", encoding="utf-8")


def _one_answer(row: str) -> str:
    domain, item, level, _, correct, _, *rest = row.split(",")
    return ",".join([domain, item, level, "1", str(int(int(correct) > SAMPLES // 2)), "", *rest])


def figures(correct: list[int]) -> dict[str, Any]:
    mean = sum(correct) / len(correct) / SAMPLES
    scores = {**_around("pass@1", mean), **_around("pass@2", mean), **_around("greedy", mean)}
    level = {"1": {**_around("pass@1", mean), "items": len(correct)}}
    taken = {"calls": 1.0, "prompt": 10.0, "tokens": 5.0, "flops": 3e6}
    return {**scores, **taken, "length": 5.0, "truncated": 0.25, "items": len(correct), "level": level}


def _write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def write_items(path: Path, correct: dict[str, list[int]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("domain", "item", "level", "samples", "correct", "greedy", "length", "truncated"))
        for domain, counts in correct.items():
            writer.writerows(
                [domain, f"{n:04x}", 1, SAMPLES, count, int(count >= 2), 5.0, 0.0] for n, count in enumerate(counts)
            )


def write_run(
    root: Path,
    models: list[ReportedModel],
    correct: Correct,
    budget_of: dict[str, str],
    configs: Mapping[str, dict[str, Any]] = {},
) -> ReportStage:
    """Writes what the stages before the report would leave, and returns the report's config.

    Every model but a base and a soup costs 1e9 FLOPs. `configs`: what models were made with, where a test asks for it.
    """
    known: dict[str, ReportedModel] = {}
    costs: dict[str, dict[str, float]] = {}
    for model in models:
        known[model.name] = model
        own = 0.0 if model.method == "soup" else 1e9
        parents = [name for name in (model.base, *model.teachers) if name]
        cost = {name: flops for parent in parents for name, flops in costs[parent].items()}
        costs[model.name] = cost if model.kind == "base" else {**cost, model.name: own}
        _write_json(
            root / f"build/evaluation/{model.name}/metrics.json",
            {
                "settings": SETTINGS,
                "answering": PLAIN,
                "domains": {name: figures(counts) for name, counts in correct[model.name].items()},
            },
        )
        write_items(root / f"build/evaluation/{model.name}/items.csv", correct[model.name])
        _write_json(
            root / f"build/evaluation/{model.name}/model.json", {"weights": weights_of(model.name), "answering": None}
        )
        counts = {"tokens_generated": 1000, "tokens_trained": 2000, "flops": own, "steps": 60}
        _write_json(root / f"build/metrics/{model.name}.json", counts)
        teachers = [{"name": name, "domain": known[name].domain or "sort", "weight": 1.0} for name in model.teachers]
        config = {"teachers": teachers, "budget_of": budget_of.get(model.name)} if model.kind == "student" else {}
        made = {"seed": model.seed, "config_hash": "ab" * 32, "weights": weights_of(model.name)}
        made |= {"cost": costs[model.name], "config": configs.get(model.name, config)}
        _write_json(root / f"build/models/{model.name}/provenance.json", made)
        times = {"wall_seconds": 61.0, "peak_memory_bytes": 800e6, "commit": "c0ffee+", "device": "CPU"}
        times |= {"finished": "2026-01-02T03:04:05+00:00", "phase_seconds": {"updates": 60.0}}
        write_times(root / f"build/times/{model.name}.json", root / f"build/models/{model.name}", times)
        if model.kind != "base" and own:
            curve = root / f"build/curves/{model.name}.csv"
            curve.parent.mkdir(parents=True, exist_ok=True)
            curve.write_text("step,flops,reward,selection\n1,5e8,0.25,\n2,1e9,0.5,0.5\n", encoding="utf-8")
    return ReportStage(name="report", experiment="toy", domains=list(correct[models[0].name]), models=models)


def results_of(stage: ReportStage, root: Path) -> Results:
    return compare(stage, read_inputs(stage, root))


WriteRun = Callable[..., ReportStage]
