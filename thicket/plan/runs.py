"""The runs of a sweep: what each one leaves, and the table of them all."""

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from rich.table import Table

from thicket.config.places import MODELS
from thicket.config.stages import EvaluateStage, SpecialistStage, Stage, StudentStage
from thicket.disk import write_whole
from thicket.plan import console
from thicket.plan.folders import made_for
from thicket.plan.objective import direction, scores_of, value_of
from thicket.reporting.text import joined
from thicket.stages.run import Targets

BEGUN, RESULT = "begun.json", "result.json"
"""In the folder of a job: the run as it began, with the place of what it is to make, and as it ended."""
INSIDE = "run."
"""Goes before a key when Hydra gets it, so that a key (`base`) is never taken for a group of conf/."""
AND = ", "
"""Between domains."""
SEED = "seed"
"""The key of an override: runs that differ in it alone are of one setting."""


@dataclass(frozen=True)
class Run:
    """One run of a sweep."""

    overrides: list[str]
    value: float | None = None
    """The sweep's objective, of an evaluation the mean over `domains`; None where there is none, or where the run
    failed."""
    artifact: str = ""
    """The folder that it made, relative to the project."""
    error: str = ""
    """Why it failed; empty where it didn't."""
    domains: str = ""
    """What its model is made for; of an evaluation of one that is made for none, what that is scored on."""
    scores: dict[str, float] = field(default_factory=dict)
    """Of an evaluation, the objective on each domain."""

    @property
    def setting(self) -> tuple[str, ...]:
        """Its overrides, the seed left out: what several seeds have in common."""
        return tuple(text for text in self.overrides if _key(text) != SEED)


def domains_of(root: Path, stage: Stage) -> str:
    """What a stage's model is made for, in words; of an evaluation, of what it scores, or all where that is none."""
    if isinstance(stage, SpecialistStage):
        return stage.domain.name
    names = [one.name for one in stage.domains] if isinstance(stage, StudentStage | EvaluateStage) else []
    if isinstance(stage, EvaluateStage):
        own = made_for(root, stage.source or str(MODELS / stage.name))
        names = [name for name in names if name in own] or names
    return AND.join(names)


def measured(run: Run, targets: Targets, objective: str) -> Run:
    """A finished run with its objective. Raises: ValueError where another machine made it, and measured it."""
    if not (scores := scores_of(targets, objective)):
        return replace(run, value=value_of(targets, objective))
    own = [scores[name] for name in run.domains.split(AND) if name in scores] or list(scores.values())
    return replace(run, value=math.fsum(own) / len(own), scores=scores)


def write_run(folder: Path, run: Run, name: str = RESULT) -> None:
    """Writes a run's result, or what it began with, beside Hydra's own files."""
    write_whole(folder / name, json.dumps(asdict(run), indent=1) + "\n")


def read_runs(folder: Path) -> list[Run]:
    """The runs of a sweep, in Hydra's order."""
    paths = sorted(folder.glob(f"*/{RESULT}"), key=lambda path: int(path.parent.name))
    return [Run(**json.loads(path.read_text(encoding="utf-8"))) for path in paths]


@dataclass(frozen=True)
class Setting:
    """The runs of a sweep that differ in the seed alone."""

    overrides: list[str]
    """Without the seed."""
    runs: list[Run]

    @property
    def value(self) -> float | None:
        """The mean over the seeds that have a value."""
        return _mean(run.value for run in self.runs)

    @property
    def scores(self) -> dict[str, float]:
        """The same on each domain that they are scored on."""
        means = {domain: _mean(run.scores.get(domain) for run in self.runs) for domain in _domains(self.runs)}
        return {domain: mean for domain, mean in means.items() if mean is not None}


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None


def by_setting(runs: list[Run]) -> list[Setting]:
    """The runs by their setting, in Hydra's order."""
    found: dict[tuple[str, ...], list[Run]] = {}
    for run in runs:
        found.setdefault(run.setting, []).append(run)
    return [Setting(list(overrides), alike) for overrides, alike in found.items()]


def by_domain(runs: list[Run]) -> dict[str, list[Run]]:
    """The runs by what their models are made for: values on other items can't be compared."""
    found: dict[str, list[Run]] = {}
    for run in runs:
        found.setdefault(run.domains, []).append(run)
    return found


def best_first(settings: list[Setting], objective: str) -> list[Setting]:
    """Settings by their value, in Hydra's order where they are level; those whose runs all failed come last."""
    sign = -1 if direction(objective) == "maximize" else 1
    return sorted(settings, key=lambda one: (all(run.error for run in one.runs), sign * (one.value or 0.0)))


def best_run(runs: list[Run], objective: str) -> Run:
    """Of the best setting, the best of its seeds."""
    seeds = best_first(by_setting(runs), objective)[0].runs
    return best_first([Setting(run.overrides, [run]) for run in seeds], objective)[0].runs[0]


def print_table(runs: list[Run], objective: str | None) -> None:
    """Prints the runs of a sweep: above them the overrides that all have, in their rows the others.

    With an objective the settings of each domain come best first, by the mean over their seeds, which stand below.
    """
    first = runs[0].overrides if len(runs) > 1 else []
    said = [text for text in first if all(text in run.overrides for run in runs)]
    of = f" of {' '.join(said)}" if said else ""
    these = f"{len(runs)} run{'s' if len(runs) > 1 else ''}{of}"
    if objective is None:
        table = console.table("", "overrides", "artifact")
        for place, run in enumerate(runs, start=1):
            table.add_row(str(place), _others(run.overrides, said), _end(run))
        print(f"\n{these}:")
    else:
        domains, scored = by_domain(runs), _scored(runs)
        table = console.table("", "overrides", objective, *scored, "artifact", right=(objective, *scored))
        for domain, alike in domains.items():
            above = said
            if len(domains) > 1:
                table.add_row("", f"on {domain}" if domain else "—")
                above = [*said, f"domain={domain}"]
            for place, setting in enumerate(best_first(by_setting(alike), objective), start=1):
                _add_setting(table, place, setting, above, scored)
        seeds = f"{',' if scored else ' by'} the mean over seeds" if len(by_setting(runs)) < len(runs) else ""
        by = measure(runs, objective)
        where = f" by {by}" if by else " in each domain" if len(domains) > 1 else ""
        print(f"\n{these}, best first{where}{seeds}:")
    console.show(table)


def _scored(runs: list[Run]) -> list[str]:
    """The domains that evaluations have scored, where they are several."""
    domains = _domains(runs)
    return domains if len(domains) > 1 else []


def _domains(runs: list[Run]) -> list[str]:
    return list(dict.fromkeys(domain for run in runs for domain in run.scores))


def measure(runs: list[Run], objective: str) -> str:
    """What evaluations are ordered by, which their models may be made for in part; empty of what is none of several
    domains."""
    if not _scored(runs):
        return ""
    own, *others = (domains.split(AND) for domains in by_domain(runs))
    if others:
        return f"{objective} on what each model is made for"
    return f"{objective} on {own[0]}" if len(own) == 1 else f"the mean {objective} over {joined(own)}"


def _add_setting(table: Table, place: int, setting: Setting, said: list[str], scored: list[str]) -> None:
    """A row; of several seeds, one more each. `said`: what stands above; `scored`: domains with own columns."""
    if len(setting.runs) == 1:
        (run,) = setting.runs
        table.add_row(str(place), _others(run.overrides, said), *_figures(run, scored), _end(run))
        return
    figures = _figures(setting, scored)
    table.add_row(str(place), _others(setting.overrides, said), *figures, f"{len(setting.runs)} seeds:")
    for run in setting.runs:
        seed = next((text for text in run.overrides if _key(text) == SEED), "")
        table.add_row("", f"  {seed}", *_figures(run, scored), _end(run))


def _figures(of: Run | Setting, scored: list[str]) -> list[str]:
    return [_value(of.value), *(_value(of.scores.get(domain)) for domain in scored)]


def _key(override: str) -> str:
    return override.partition("=")[0]


def _others(overrides: list[str], said: list[str]) -> str:
    return " ".join(text for text in overrides if text not in said)


def _value(value: float | None) -> str:
    return "—" if value is None else f"{value:.4g}"


def _end(run: Run) -> str:
    return f"failed: {run.error.splitlines()[0]}" if run.error else run.artifact
