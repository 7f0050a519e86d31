"""Runs a stage from the command line, once or as a sweep by Hydra's multirun, and prints the sweep's table."""

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from thicket.config.overrides import combinations, parse
from thicket.config.problems import ConfigError, Problem, merged
from thicket.config.project import RUNS, Project
from thicket.plan.adhoc import stage_from
from thicket.stages.launch import run_one
from thicket.stages.run import Targets, on_its_own

RESULT = "result.json"
MINIMISED = ("wall_seconds", "flops", "peak_memory_bytes", "tokens_generated", "tokens_trained")
"""Objectives of which less is better."""


def run(root: Path, kind: str, texts: list[str], multirun: bool) -> int:
    """Validates everything first, then runs. Raises: ConfigError with the problems of all combinations."""
    overrides = parse(texts)
    if not multirun and any(len(override.values) > 1 for override in overrides):
        swept = next(override for override in overrides if len(override.values) > 1)
        raise ConfigError([Problem("command line", swept.text, "", "several values are a sweep: add -m")])
    problems, stages = [], []
    for pairs in combinations(overrides):
        try:
            stages.append(stage_from(root, kind, pairs))
        except ConfigError as error:
            problems.extend(error.problems)
    if problems:
        raise ConfigError(merged(problems))
    if multirun:
        return _sweep(root, kind, texts)
    stage: Any = stages[0].stage
    targets = on_its_own(root, stage)
    status = run_one(root, stage, targets)
    if status == 0:
        print(f"{kind} {stage.name}: {targets.artifact.relative_to(root)}")
    return status


def _sweep(root: Path, kind: str, texts: list[str]) -> int:
    """Hands the sweep to Hydra; each job writes its result beside Hydra's own files."""
    import hydra

    folder = RUNS / "sweeps" / f"{datetime.now():%Y-%m-%d_%H-%M-%S}"
    own = any(text.startswith("hydra.sweep.dir=") for text in texts)
    place = [] if own else [f"hydra.sweep.dir={folder}"]
    sys.argv = ["thicket", "--multirun", *place, *texts]
    library = Project(root).library.root
    hydra.main(config_path=str(library.resolve()), config_name=kind, version_base="1.3")(_job)()
    where = next((Path(t.partition("=")[2]) for t in texts if t.startswith("hydra.sweep.dir=")), folder)
    return _table(where)


def _job(config: Any) -> float:
    """One combination, as Hydra calls it; returns the objective, for sweepers that look for a best."""
    from hydra.core.hydra_config import HydraConfig

    from thicket.cli import project_root

    job = HydraConfig.get()
    root, kind = project_root(Path.cwd()), str(job.job.config_name)
    pairs = combinations(parse(list(job.overrides.task)))[0]
    stage: Any = stage_from(root, kind, pairs).stage
    targets = on_its_own(root, stage)
    if not targets.artifact.is_dir():
        status = run_one(root, stage, targets)
        if status:
            raise SystemExit(status)
    objective = str(config.objective)
    value = objective_of(targets, objective)
    record = {
        "overrides": list(job.overrides.task),
        "objective": objective,
        "value": value,
        "artifact": str(targets.artifact.relative_to(root)),
    }
    (Path(job.runtime.output_dir) / RESULT).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return float("nan") if value is None else value


def objective_of(targets: Targets, objective: str) -> float | None:
    """The figure of a run that a sweep looks at: a line of the ledger, or pass@1 over all domains of an evaluation."""
    scores = targets.artifact / "metrics.json"
    if scores.is_file():
        domains = json.loads(scores.read_text(encoding="utf-8"))["domains"]
        return sum(figures["pass@1"] for figures in domains.values()) / len(domains)
    if not targets.metrics.is_file():
        return None
    ledger = json.loads(targets.metrics.read_text(encoding="utf-8"))
    if objective not in ledger:
        raise ValueError(f"objective {objective!r} is not a figure of the ledger: {', '.join(ledger)}")
    return ledger[objective]


def _table(folder: Path) -> int:
    """Prints the runs of a sweep, best first."""
    from rich.console import Console
    from rich.table import Table

    records = [json.loads(path.read_text(encoding="utf-8")) for path in folder.glob(f"*/{RESULT}")]
    if not records:
        print("No run of the sweep finished.", file=sys.stderr)
        return 1
    objective = records[0]["objective"]
    less = objective in MINIMISED
    records.sort(key=lambda record: (record["value"] is None, (record["value"] or 0) * (1 if less else -1)))
    table = Table("", "overrides", box=None, pad_edge=False)
    table.add_column(objective, justify="right")
    table.add_column("artifact")
    for place, record in enumerate(records, start=1):
        value = "—" if record["value"] is None else f"{record['value']:.4g}"
        table.add_row(str(place), " ".join(record["overrides"]), value, record["artifact"])
    print(f"\n{len(records)} runs, best first:")
    Console(width=None if sys.stdout.isatty() else 160).print(table)
    return 0
