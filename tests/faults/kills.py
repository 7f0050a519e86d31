"""Kills every stage of a shrunken pipeline, many times, at random and at delicate moments.

    python tests/faults/kills.py --kills 50 --seed 0 --report faults.json

Each kill is of a fresh run of the stage; then it is looked at what is recorded, which processes and locks are left, and
whether `dvc repro` ends with the very outs of a run that nobody disturbed. A report file that is there is gone on with.
It takes about half a minute a kill on two cores: too long for the tests, which have three (test_kills.py).
"""

import argparse
import json
import sys
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

from killing import as_json, disturbed, drawn, measured, said, save  # noqa: E402
from lab import Lab  # noqa: E402
from shrunken import STAGES, shrunken  # noqa: E402

from thicket.stages.machine import commit  # noqa: E402

TRIES, SOONER = 3, 0.7
"""What comes too late, because the machine is less busy than when the stage was measured, comes sooner next time."""


def main() -> int:
    arguments = parsed()
    report: Path = arguments.report
    held: dict[str, Any] = json.loads(report.read_text(encoding="utf-8")) if report.is_file() else {"kills": []}
    with tempfile.TemporaryDirectory(prefix="faults-", dir=arguments.work) as folder:
        lab = shrunken(Path(folder) / "project")
        print("building the pipeline once, undisturbed …", flush=True)
        lab.call("dvc", "repro")
        for stage in arguments.stages:
            disturb(lab, stage, arguments, held)
    print(table(held["kills"]))
    return 1 if any(kill["problems"] for kill in held["kills"]) else 0


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50, help="of each stage")
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=STAGES, metavar="STAGE", help="default: all")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--report", type=Path, default=Path("faults.json"), help="kept after every kill")
    parser.add_argument("--work", type=Path, help="where the pipeline is built; default: the system's temporary folder")
    return parser.parse_args()


def disturb(lab: Lab, stage: str, arguments: argparse.Namespace, held: dict[str, Any]) -> None:
    """All kills of a stage that the report does not have yet."""
    done = {kill["number"] for kill in held["kills"] if kill["stage"] == stage and kill["seed"] == arguments.seed}
    numbers = [number for number in range(arguments.kills) if number not in done]
    if not numbers:
        return
    reference = measured(lab, stage, f"{stage}-reference")
    assert reference.outs == measured(lab, stage, f"{stage}-again").outs, f"{stage} is not made equal twice"
    print(f"{stage}: {reference.seconds:.1f} s; {', '.join(reference.moments)}", flush=True)
    for number in numbers:
        kill = drawn(stage, number, arguments.seed, reference.moments)
        found = disturbed(lab, kill, reference, f"{stage}-{number}")
        for attempt in range(TRIES):
            if found.outcome != "too late":
                break
            kill = replace(kill, share=kill.share * SOONER)
            found = disturbed(lab, kill, reference, f"{stage}-{number}-{attempt}")
        print(said(found), flush=True)
        held["kills"].append({**as_json(found), "seed": arguments.seed, "commit": commit(ROOT)})
        save(arguments.report, held)
    # The ledgers of models, which say how long it took, are others now; what reads them would run again.
    again = lab.call("dvc", "repro")
    ran = {line.split("'")[1] for line in again.splitlines() if line.startswith("Running stage")}
    assert ran <= {"report", "claims"}, f"after the kills of {stage} more than the report ran: {ran}"


def table(kills: list[dict[str, Any]]) -> str:
    """Counts of outcomes by stage, by signal, and by target."""
    lines = []
    for key in ("stage", "signal", "target", "moment"):
        counts: dict[str, Counter[str]] = {}
        for kill in kills:
            counts.setdefault(kill[key], Counter())[kill["outcome"]] += 1
            counts[kill[key]]["problems"] += bool(kill["problems"])
        columns = [*sorted({outcome for kill in kills for outcome in [kill["outcome"]]}), "problems"]
        lines += ["", f"| {key} | kills | {' | '.join(columns)} |", f"|{'---|' * (len(columns) + 2)}"]
        for name, count in counts.items():
            total = sum(count.values()) - count["problems"]
            lines.append(f"| {name} | {total} | {' | '.join(str(count[column]) for column in columns)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
