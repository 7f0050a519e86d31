"""The runs of a sweep: what each one leaves, and the table of them all."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from thicket.disk import write_whole
from thicket.plan import console
from thicket.plan.objective import direction

BEGUN, RESULT = "begun.json", "result.json"
"""In the folder of a job: the run as it began, with the place of what it is to make, and as it ended."""
INSIDE = "run."
"""Goes before a key when Hydra gets it, so that a key (`base`) is never taken for a group of conf/."""


@dataclass(frozen=True)
class Run:
    """One run of a sweep."""

    overrides: list[str]
    value: float | None = None
    """The sweep's objective; None where there is none, or where the run failed."""
    artifact: str = ""
    """The folder that it made, relative to the project."""
    error: str = ""
    """Why it failed; empty where it didn't."""


def write_run(folder: Path, run: Run, name: str = RESULT) -> None:
    """Writes a run's result, or what it began with, beside Hydra's own files."""
    write_whole(folder / name, json.dumps(asdict(run), indent=1) + "\n")


def read_runs(folder: Path) -> list[Run]:
    """The runs of a sweep, in Hydra's order."""
    paths = sorted(folder.glob(f"*/{RESULT}"), key=lambda path: int(path.parent.name))
    return [Run(**json.loads(path.read_text(encoding="utf-8"))) for path in paths]


def best_first(runs: list[Run], objective: str | None) -> list[Run]:
    """Runs by their value, in Hydra's order where they are level; those that failed come last."""
    sign = -1 if objective and direction(objective) == "maximize" else 1
    return sorted(runs, key=lambda run: (bool(run.error), sign * (run.value or 0.0)))


def print_table(runs: list[Run], objective: str | None) -> None:
    """Prints the runs of a sweep, best first: above them the overrides that all have, in their rows the others."""
    first = runs[0].overrides if len(runs) > 1 else []
    shared = [text for text in first if all(text in run.overrides for run in runs)]
    table = console.table("", "overrides", *([objective] if objective else []), "artifact", right=(objective or "",))
    for place, run in enumerate(best_first(runs, objective), start=1):
        value = [] if not objective else ["—" if run.value is None else f"{run.value:.4g}"]
        last = f"failed: {run.error.splitlines()[0]}" if run.error else run.artifact
        table.add_row(str(place), " ".join(text for text in run.overrides if text not in shared), *value, last)
    of, order = f" of {' '.join(shared)}" if shared else "", ", best first" if objective else ""
    print(f"\n{len(runs)} runs{of}{order}:")
    console.show(table)
