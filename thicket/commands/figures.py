"""What `thicket show` says of any model that was made: its figures, and what it took."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from thicket.config.never_right import in_words, noted_in
from thicket.config.useful import USEFUL
from thicket.plan import console
from thicket.reporting.inputs import PASS_AT_1, interval_of
from thicket.reporting.results import GREEDY
from thicket.reporting.tables import marked
from thicket.reporting.text import duration, percent, percent_interval, points, points_interval, si
from thicket.stages.run import Targets
from thicket.statistics.intervals import Interval
from thicket.times import UNKNOWN, read_times

SHORT = 12
"""Digits of a hash that are shown."""
ORIGIN = ("seed", "config_hash", "weights", "parents", "data", "spent", "cost", "versions")
"""What programs are told of a model's provenance."""


def facts(targets: Targets, scores: Path) -> dict[str, Any]:
    """What the files of a model say: `scores`, `ledger`, `times` and `origin`; None where they are not there.

    `scores`: the folder of its evaluation. Raises: ValueError where a file is broken.
    """
    model = targets.artifact
    places = {"scores": scores / "metrics.json", "ledger": targets.metrics, "origin": model / "provenance.json"}
    found = {key: console.read_json(path) if path.is_file() else None for key, path in places.items()}
    if made := found["origin"]:
        found["origin"] = {key: made[key] for key in ORIGIN if key in made}
    return found | {"times": read_times(targets.times, model) or None}


def print_figures(scores: Any, gaps: Mapping[str, Interval], base: str) -> None:
    """An evaluation's figures; `gaps`: domain → what lies between the model and its base, where that is known."""
    domains = scores["domains"]
    names = dict.fromkeys(key for one in domains.values() for key in one if key == GREEDY or key.startswith("pass@"))
    figures = [key for key in names if not key.endswith(("_low", "_high"))]
    against = [f"{PASS_AT_1} − {base}'s", ""] if gaps else []
    table = console.table("domain", *figures, *against, "tokens", "cut off", right=("tokens", "cut off"))
    for domain, found in domains.items():
        scored = [
            f"{percent((one := interval_of(found, key)).value)} {percent_interval(one)}" if key in found else "—"
            for key in figures
        ]
        gap = gaps.get(domain)
        beside = [f"{points(gap.value)} {points_interval(gap)}", marked(gap)] if gap else ["—", ""]
        table.add_row(
            domain, *scored, *(beside if gaps else []), f"{found['length']:.1f}", f"{percent(found['truncated'])} %"
        )
    console.show(table)
    way, settings = scores["answering"], scores["settings"]
    samples = f"{settings['samples']} samples an item at temperature {way['temperature']:g}"
    voters = f"{way['members']} members" if way["members"] else f"{way['votes']}" if way["votes"] > 1 else ""
    print(f"{f'a vote of {voters} for each item' if voters else samples}, {settings['split']} items.")
    if lost := in_words(noted_in(scores), settings["split"]):
        print(f"{lost}.")


def print_ledger(ledger: Any, origin: Any, times: Any) -> None:
    """What a model took to make; `origin`: its provenance. Nothing where one of the two is not there."""
    if not ledger or not origin:
        return
    print("\nLedger")
    table = console.table("", "")
    table.show_header = False
    rows = {
        **_machines_rows(times),
        "steps": str(ledger["steps"]),
        "useful": _useful(ledger.get(USEFUL)),
        "out of reach": in_words(noted_in(ledger), "train"),
        "tokens": f"{si(ledger['tokens_generated'])} generated, {si(ledger['tokens_trained'])} trained on",
        "FLOPs": f"{si(ledger['flops'])}; {si(sum(origin['cost'].values()))} with all that it rests on but bases",
        "weights": f"{origin['weights'][:SHORT]}, seed {origin['seed']}, config {origin['config_hash'][:SHORT]}",
    }
    for key, value in rows.items():
        if value:
            table.add_row(key, value)
    console.show(table)


def _useful(share: float | None) -> str:
    return "" if share is None else f"{percent(share)} % of the groups of rewards differ"


def _machines_rows(times: dict[str, Any] | None) -> dict[str, str]:
    """What only the machine knows that made the model."""
    if not times:
        return {"made": f"{UNKNOWN}: when, where and how long only that machine can say where it was made"}
    phases = ", ".join(f"{phase} {duration(seconds)}" for phase, seconds in times["phase_seconds"].items() if seconds)
    return {
        "made": f"{times['finished']}, at commit {times['commit'] or '—'}",
        "on": times["device"],
        "time": duration(times["wall_seconds"]) + (f" ({phases})" if phases else ""),
        "memory": si(times["peak_memory_bytes"], "B"),
    }
