"""What a run left about its models: scores, scores of items, ledgers, learning curves, provenance."""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thicket.config.places import CURVES, EVALUATION, METRICS, MODELS, SCORED_MODEL, TEST, TIMES
from thicket.config.shown import Shown, read_shown
from thicket.config.stages import ReportedModel, ReportStage
from thicket.statistics.intervals import Interval
from thicket.statistics.pass_at_k import pass_at_k
from thicket.times import read_times

PASS_AT_1 = "pass@1"

Curve = tuple[dict[str, float], ...]
"""A row a step, with the values that the step has."""


@dataclass(frozen=True)
class Items:
    """A model's scores on each item of a domain, N of them, in the order of their ids."""

    ids: tuple[str, ...]
    pass_at_1_N: NDArray[np.float64]
    """Of its sampled responses, or of its vote."""
    greedy_N: NDArray[np.float64] | None
    """1 where the greedy response is correct, else 0; None where none was asked for."""


@dataclass(frozen=True)
class Scored:
    """An evaluation of a model."""

    metrics: dict[str, Any]
    items: dict[str, Items]
    """Domain → the model's items."""
    tests: dict[str, dict[str, str]]
    """Domain → part of its test → hash; empty where an earlier thicket did not note it."""
    identity: dict[str, str | None]
    """Which model it was: hashes of its weights and of its way to answer; empty as `tests` may be."""

    @property
    def weights(self) -> str | None:
        """As `own_weights`."""
        return own_weights(self.identity)


def own_weights(identity: Mapping[str, str | None]) -> str | None:
    """The hash that tells whether two models are one: of weights that answer plainly; None where nobody has noted it.

    None too of a model with a way of its own to answer: a control chooses among few, and may come to the same one under
    several seeds, which then agree.
    """
    return identity["weights"] if identity and identity["answering"] is None else None


@dataclass(frozen=True)
class Inputs(Scored):
    """The files of a model."""

    model: ReportedModel
    ledger: dict[str, Any]
    provenance: dict[str, Any]
    curve: Curve
    """Empty for a model that was not trained in steps."""
    times: dict[str, Any]
    """What the machine that made it says; empty on another one."""
    shown: tuple[Shown, ...] = ()
    """Samples of its training."""


def read_inputs(stage: ReportStage, root: Path) -> dict[str, Inputs]:
    """The files of every model of the report, by name.

    Raises: ValueError, with the files, where one is missing or broken, or two models were not scored on the same items
    in the same way.
    """
    inputs = {model.name: _read_model(model, stage.domains, root) for model in stage.models}
    check_comparable({root / EVALUATION / name: scored for name, scored in inputs.items()}, stage.domains)
    return inputs


def read_scores(folder: Path, domains: Sequence[str] = ()) -> Scored:
    """An evaluation. Raises: ValueError, with the file, where one is missing or broken, or lacks a domain."""
    metrics = _read_json(folder / "metrics.json")
    items = _read_items(folder / "items.csv")
    for domain in domains:
        for path, known in ((folder / "metrics.json", metrics["domains"]), (folder / "items.csv", items)):
            if domain not in known:
                raise ValueError(f"{path}: no scores on {domain} (there are: {', '.join(known)})")
    tests, identity = (_read_json(path) if path.is_file() else {} for path in (folder / TEST, folder / SCORED_MODEL))
    return Scored(metrics, items, tests, identity)


def read_curve(path: Path) -> Curve:
    """A model's learning curve, where it left one. Raises: ValueError, with the file, where it is broken."""
    return tuple(_numbers(path)) if path.is_file() else ()


def _read_model(model: ReportedModel, domains: list[str], root: Path) -> Inputs:
    scored = read_scores(root / EVALUATION / model.name, domains)
    folder = root / MODELS / model.name
    return Inputs(
        model=model,
        metrics=scored.metrics,
        items=scored.items,
        tests=scored.tests,
        identity=scored.identity,
        ledger=_read_json(root / METRICS / f"{model.name}.json"),
        provenance=_read_json(folder / "provenance.json"),
        curve=read_curve(root / CURVES / f"{model.name}.csv"),
        times=read_times(root / TIMES / f"{model.name}.json", folder),
        shown=tuple(read_shown(folder)),
    )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise ValueError(f"{path}: there is no such file; `dvc repro` makes it") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: not JSON ({error})") from None


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
    except OSError:
        raise ValueError(f"{path}: there is no such file; `dvc repro` makes it") from None


def _read_items(path: Path) -> dict[str, Items]:
    rows = _rows(path)
    found: dict[str, list[tuple[str, int, int, str]]] = {}
    try:
        for row in rows:
            counts = row["item"], int(row["samples"]), int(row["correct"]), row.get("greedy") or ""
            found.setdefault(row["domain"], []).append(counts)
        return {domain: _items(sorted(counts)) for domain, counts in found.items()}
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: not a table of scores of items ({error})") from None


def _items(rows: list[tuple[str, int, int, str]]) -> Items:
    ids, samples, correct, greedy = zip(*rows, strict=True)
    return Items(ids, pass_at_k(samples, correct, 1), np.array(greedy, dtype=np.float64) if all(greedy) else None)


def _numbers(path: Path) -> Iterator[dict[str, float]]:
    for number, row in enumerate(_rows(path), start=2):
        try:
            yield {name: float(value) for name, value in row.items() if value}
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path}:{number}: not a row of a learning curve ({error})") from None


def check_comparable(scored: Mapping[Path, Scored], domains: list[str]) -> None:
    """Evaluations by their folders.

    Raises: ValueError where two are not of the same items, asked, judged and scored alike.
    """
    (first, one), *others = scored.items()
    for folder, other in others:
        folders, settings = (first, folder), (one.metrics["settings"], other.metrics["settings"])
        if settings[0] != settings[1]:
            raise _incomparable(folders, "metrics.json", f"scored with settings that differ ({_told_apart(*settings)})")
        for domain in domains:
            ids = one.items[domain].ids, other.items[domain].ids
            if ids[0] != ids[1]:
                different = len({*ids[0]} ^ {*ids[1]})
                why = f"{different} items of {domain} are in one and not in the other"
                raise _incomparable(folders, "items.csv", why)
        if differing := differing_tests(one, other, domains):
            parts = "; ".join(f"{domain}: {', '.join(parts)}" for domain, parts in differing.items())
            raise _incomparable(folders, TEST, f"scored by tests that differ ({parts})")


def _incomparable(folders: tuple[Path, Path], file: str, why: str) -> ValueError:
    """`file`: of either, that tells it."""
    files = " and ".join(str(folder / file) for folder in folders)
    return ValueError(f"{files}: {why}, so that the models can't be compared")


def _told_apart(one: dict[str, Any], other: dict[str, Any]) -> str:
    """The entries in which two mappings differ: `samples: 4 and 8; top_p: 1.0 and 0.9`."""
    keys = [key for key in {**one, **other} if one.get(key) != other.get(key)]
    return "; ".join(f"{key}: {one.get(key)} and {other.get(key)}" for key in keys)


def differing_tests(one: Scored, other: Scored, domains: list[str]) -> dict[str, list[str]]:
    """Domain → the parts of its test that two evaluations have noted differently."""
    pairs = {domain: (one.tests.get(domain, {}), other.tests.get(domain, {})) for domain in domains}
    found = {
        domain: [part for part, known in left.items() if right.get(part, known) != known]
        for domain, (left, right) in pairs.items()
    }
    return {domain: parts for domain, parts in found.items() if parts}


def interval_of(figures: dict[str, float], name: str) -> Interval:
    """A score of an evaluation's metrics, with its interval."""
    return Interval(figures[name], figures[f"{name}_low"], figures[f"{name}_high"])
