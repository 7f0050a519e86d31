"""Which signals of distillation bear which learning rates, from the curves of a project that is built.

    python benchmarks/stability.py PROJECT --base SCORE [--spike 5]

For the students of experiment `stability`, by signal and learning rate, over seeds: the score on the selection items at
the end (sampled pass@1, mean over domains), how many of them ended below the base (a collapse), and steps whose
gradient's norm is no number or more than `spike` times the median of the twenty before.
"""

import argparse
import csv
import json
import math
import statistics
from collections import defaultdict
from pathlib import Path
from typing import Any

BEFORE = 20
"""Steps that a norm is compared with."""
SIGNALS = {"full_vocab": "divergence", "top_k": "rest", "sampled_token": "", "top1": ""}


def curve(project: Path, name: str) -> list[dict[str, str]]:
    with (project / "build/curves" / f"{name}.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def config(project: Path, name: str) -> dict[str, Any]:
    made = json.loads((project / "build/models" / name / "provenance.json").read_text(encoding="utf-8"))
    return made["config"]


def plain(method: dict[str, Any]) -> bool:
    """Whether a student differs from others by its signal and learning rate alone."""
    return method["on_policy"] == 1 and method["routing"] == "domain" and not method["gap"] and not method["reward"]


def spikes(norms: list[float], times: float) -> int:
    """Steps whose norm stands out of those before."""
    late = range(BEFORE, len(norms))
    return sum(not norms[step] <= times * statistics.median(norms[step - BEFORE : step]) for step in late)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("project", type=Path)
    parser.add_argument("--base", type=float, required=True, help="the base's score: its mean pass@1 over the domains")
    parser.add_argument("--spike", type=float, default=5.0)
    arguments = parser.parse_args()
    found: dict[tuple[str, float], list[tuple[float, int, float]]] = defaultdict(list)
    for path in sorted((arguments.project / "build/models").glob("*/provenance.json")):
        made: dict[str, Any] = config(arguments.project, path.parent.name)
        if made.get("stage") != "student" or made["method"]["type"] != "opd" or not plain(made["method"]):
            continue
        signal, rows = made["method"]["signal"], curve(arguments.project, path.parent.name)
        kind = " ".join(filter(None, [signal["type"], str(signal.get(SIGNALS[signal["type"]], ""))]))
        norms = [float(row["gradient_norm"]) for row in rows]
        finite = [norm for norm in norms if math.isfinite(norm)]
        largest = max(norms[BEFORE:], key=lambda norm: math.inf if math.isnan(norm) else norm) / statistics.median(
            finite
        )
        score = [float(row["selection"]) for row in rows if row["selection"]][-1]
        found[kind, made["method"]["optimizer"]["lr"]].append((score, spikes(norms, arguments.spike), largest))
    print(f"{'signal':24} {'lr':>7}  seeds  score at the end (range)   below the base  spikes  largest norm / median")
    for (kind, rate), runs in sorted(found.items()):
        scores, stood_out, largest = zip(*runs, strict=True)
        low = sum(score < arguments.base for score in scores)
        print(
            f"{kind:24} {rate:7.0e}  {len(runs):5}  {statistics.mean(scores):.3f} ({min(scores):.3f}–{max(scores):.3f})"
            f"        {low} of {len(runs)}          {sum(stood_out):3}     {max(largest):.1f}"
        )


if __name__ == "__main__":
    main()
