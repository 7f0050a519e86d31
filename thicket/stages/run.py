"""Runs a stage: from its resolved config to its published artifact, for DVC and for the command line alike."""

import hashlib
import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from thicket import ranks
from thicket.config.named_files import named_files
from thicket.config.never_right import as_noted
from thicket.config.places import (
    ANALYSIS,
    CURVES,
    DATA,
    EVALUATION,
    LOGS,
    METRICS,
    MODELS,
    PICTURE,
    PICTURES,
    REPORT,
    RESUME,
    RUNS,
    TIMES,
)
from thicket.config.report_files import CLAIMS_FILES, REPORT_FILES
from thicket.config.stages import (
    AnalyzeStage,
    AnyStage,
    BaseStage,
    ClaimsStage,
    DataStage,
    EvaluateStage,
    ReportStage,
    SpecialistStage,
    Stage,
    StudentStage,
    read_stage,
)
from thicket.config.useful import USEFUL, USELESS, mean_useful, was_useless
from thicket.disk import replaced, write_whole
from thicket.signals import die_with_dvc
from thicket.stages.outcome import Outcome, Places
from thicket.stages.overdue import ended_when_overdue
from thicket.stages.publish import config_hash, locked, whole
from thicket.stages.several import follow_elsewhere, started_elsewhere, together
from thicket.stages.tried import try_verifiers
from thicket.standing import followed
from thicket.times import write_times


@dataclass(frozen=True)
class Targets:
    """Where the results of a run go."""

    artifact: Path
    metrics: Path
    """The ledger of a model's making."""
    curves: Path
    times: Path
    """What the machine says of it; equal runs differ in this alone."""
    logs: Path | None = None
    """Where others see how far it is and what it has printed; None: nowhere."""
    picture: Path | None = None
    """An analysis's, beside the artifact's own; None: nowhere."""

    def lock(self, root: Path, stage: AnyStage) -> Path:
        """The file that is locked while the artifact is made."""
        return lock_of(root, self.artifact, f"{stage.stage}-{stage.name}")


def lock_of(root: Path, artifact: Path, stage: str) -> Path:
    """The lock of an artifact by its place and the stage that makes it."""
    return root / RESUME / f"{artifact.parent.name}-{stage}.lock"


def in_pipeline(root: Path, stage: AnyStage) -> Targets:
    """The places that dvc.yaml names."""
    places = {"data": DATA / stage.name, "evaluate": EVALUATION / stage.name, "analyze": ANALYSIS / stage.name}
    folder = places.get(stage.stage, REPORT if stage.stage in ("report", "claims") else MODELS / stage.name)
    metrics, times = (root / place / f"{stage.name}.json" for place in (METRICS, TIMES))
    curves, picture = root / CURVES / f"{stage.name}.csv", root / PICTURES / f"{stage.name}.png"
    return Targets(root / folder, metrics, curves, times, root / LOGS, picture)


def on_its_own(root: Path, stage: AnyStage) -> Targets:
    """The places of a run from the command line: a folder for each config and inputs, where an equal run is found, and
    where it says how far it is."""
    return of_run(root / RUNS / stage.stage / f"{stage.name}-{_identity(stage, root)[:8]}" / stage.stage)


def of_run(artifact: Path) -> Targets:
    """The places of the run from the command line that makes an artifact: beside it."""
    folder = artifact.parent
    return Targets(artifact, folder / "ledger.json", folder / "curves.csv", folder / "times.json", folder)


def made_before(stage: AnyStage, targets: Targets) -> bool:
    """Whether an equal run is there; a report reads everything, and is made anew. All of several processes say so."""
    there = targets.artifact.is_dir() and not isinstance(stage, ReportStage | ClaimsStage)
    place = ranks.given()
    return there if place is None else ranks.agreed(place, there)


def run_stage(root: Path, stage: AnyStage, targets: Targets) -> None:
    """Runs a stage and publishes what it makes.

    Raises: ValueError for inputs that are missing or don't fit; Busy; Interrupted.
    """
    resume = resume_folder(root, stage)
    places = Places(root, root / MODELS, root / DATA, root, resume)
    follow = partial(_follow, stage, places, targets)
    if place := started_elsewhere(stage):
        ranks.check_shared(root / RESUME, place)
    if place and place.number > 0:
        follow_elsewhere(stage, place, follow)
        ranks.wait_for_all(place)
        return
    with (
        locked(targets.lock(root, stage), str(targets.artifact)),
        followed(targets.logs, stage.id, ran(stage)),
        ended_when_overdue(resume),
    ):
        try_verifiers(root, stage)
        beside = stage.name if isinstance(stage, ReportStage | ClaimsStage) else None
        with whole(targets.artifact, beside=beside) as out, together(stage, follow):
            _work(stage, replace(places, out=out), targets)
        if isinstance(stage, ReportStage | ClaimsStage):
            page = (REPORT_FILES if isinstance(stage, ReportStage) else CLAIMS_FILES)[0]
            print(f"{stage.stage}: {(targets.artifact / page).relative_to(root)}", flush=True)
        shutil.rmtree(resume, ignore_errors=True)
    if place:  # The next stage of all of them may read what the first one has published.
        ranks.wait_for_all(place)


def _follow(stage: AnyStage, places: Places, targets: Targets, scratch: Path) -> None:
    """What a process does that is not the first of its stage."""
    _work(stage, replace(places, out=scratch), targets)


def _work(stage: AnyStage, places: Places, targets: Targets) -> None:
    """What a stage is."""
    if isinstance(stage, DataStage):
        from thicket.stages.data import make_data

        make_data(stage, places.out)
    elif isinstance(stage, EvaluateStage):
        from thicket.stages.evaluate import evaluate

        evaluate(stage, places)
    elif isinstance(stage, AnalyzeStage):
        from thicket.stages.analyze import analyze

        analyze(stage, places)
        if targets.picture and ranks.first():
            with replaced(targets.picture) as partial:
                shutil.copyfile(places.out / PICTURE, partial)
    elif isinstance(stage, ClaimsStage):
        from thicket.reporting.claims.page import build_claims

        build_claims(stage, places.root, places.out)
    elif isinstance(stage, ReportStage):
        from thicket.reporting.report import build_report

        build_report(stage, places.root, places.out)
    else:
        _make_model(stage, _maker(stage), places, targets)


def resume_folder(root: Path, stage: AnyStage) -> Path:
    """Where a run of this config, on these inputs, keeps its checkpoints."""
    return root / RESUME / f"{stage.stage}-{stage.name}-{_identity(stage, root)[:16]}"


def unfinished(root: Path, resume: Path) -> Path | None:
    """The folder of the run from the command line that goes on from a folder of checkpoints; None: none does."""
    kind, _, rest = resume.name.partition("-")
    name, _, identity = rest.rpartition("-")
    folder = root / RUNS / kind / f"{name}-{identity[:8]}"
    return folder if folder.is_dir() and not (folder / kind).is_dir() else None


def checkpoints(root: Path, artifact: Path) -> Path | None:
    """The folder of checkpoints that the run from the command line goes on from which makes an artifact; None: none."""
    return next((root / RESUME).glob(f"{artifact.name}-{artifact.parent.name}*/"), None)


def _identity(stage: Stage, root: Path) -> str:
    """Hash of a stage's config and of what it reads: work on another start must not be gone on with.

    Of large files that the config names, their sizes and times stand for their contents. How many devices share the
    work does not count: it can be gone on with on another number of them.
    """
    if isinstance(stage, ReportStage | ClaimsStage):
        return config_hash(stage)
    scores = isinstance(stage, EvaluateStage)
    start = stage.name if scores else getattr(stage, "base", None)
    parents = [start] if isinstance(start, str) else []
    parents += [model.name for model in stage.models] if isinstance(stage, AnalyzeStage) else []
    parents += [teacher.name for teacher in getattr(stage, "teachers", [])]
    parents += [stage.budget_of] if isinstance(stage, StudentStage) and stage.budget_of else []
    domains = [*getattr(stage, "domains", []), *([stage.domain] if isinstance(stage, SpecialistStage) else [])]
    splits = [stage.evaluation.split] if scores else ["train", "selection"]
    splits = [stage.analysis.split] if isinstance(stage, AnalyzeStage) else splits
    read = [root / MODELS / name / "provenance.json" for name in parents]
    read += [root / DATA / domain.name / f"{split}.jsonl" for domain in domains for split in splits]
    trainer = getattr(stage, "trainer", None)
    alone = stage if trainer is None else stage.model_copy(update={"trainer": trainer.on_one_device})
    digest = hashlib.sha256(config_hash(alone).encode())
    for path in read:
        digest.update(path.read_bytes() if path.is_file() else b"")
    elsewhere = [Path(one.source) for one in stage.models if one.source] if isinstance(stage, AnalyzeStage) else []
    for path in [*elsewhere, *(root / named for _, named in named_files(stage))]:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path] * path.is_file():
            digest.update(f"{file} {file.stat().st_size} {file.stat().st_mtime_ns}".encode())
    return digest.hexdigest()


def ran(stage: Stage) -> dict[str, str]:
    """Hashes of what a run of this stage runs: its config, and the code that this names."""
    code = json.dumps(stage.code, sort_keys=True)
    config = config_hash(stage.model_copy(update={"code": {}}))
    return {"config": config, "code": hashlib.sha256(code.encode()).hexdigest()}


def _maker(stage: Stage) -> Callable[[Any, Places], Outcome]:
    if isinstance(stage, BaseStage):
        from thicket.stages.base import make_base

        return make_base
    if isinstance(stage, SpecialistStage):
        from thicket.stages.specialist import make_specialist

        return make_specialist
    from thicket.stages.student import make_student

    return make_student


def _make_model(stage: Stage, make: Callable[[Any, Places], Outcome], places: Places, targets: Targets) -> None:
    from thicket.config.shown import write_shown
    from thicket.stages.machine import commit, device, forget_peak_memory, peak_memory_bytes
    from thicket.stages.provenance import provenance
    from thicket.training.curves import write_curves

    started, began = datetime.now(UTC), time.monotonic()
    forget_peak_memory()
    outcome = make(stage, places)
    if not ranks.first():
        return
    made = provenance(stage, outcome, places)
    (places.out / "provenance.json").write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if outcome.shown:
        write_shown(places.out, outcome.shown)
    counts = outcome.ledger.counts()
    finished, seconds = datetime.now(UTC), time.monotonic() - began  # The clock of the day may be set meanwhile.
    times = {
        "commit": commit(places.root),
        "device": device(),
        "started": started.isoformat(timespec="seconds"),
        "finished": finished.isoformat(timespec="seconds"),
        "wall_seconds": round(outcome.seconds or seconds, 2),
        "phase_seconds": {phase: round(seconds, 2) for phase, seconds in outcome.phases.items()},
        "peak_memory_bytes": peak_memory_bytes(),
    }
    ledger = {
        "tokens_generated": counts["tokens_generated"],
        "tokens_trained": counts["tokens_trained"],
        "flops": counts["flops"],
        "steps": outcome.steps,
        "selection_pass@1": outcome.selection,
        USEFUL: mean_useful(outcome.rows),
        **as_noted(outcome.never_right),
    }
    if was_useless(ledger):
        print(f"Note: {stage.id}: in {outcome.steps} steps {USELESS} ({_earned(outcome)}).", flush=True)
    if outcome.rows:
        write_curves(targets.curves, list(outcome.rows))
    write_whole(targets.metrics, json.dumps(ledger, indent=1) + "\n")
    write_times(targets.times, places.out, times)


def _earned(outcome: Outcome) -> str:
    """What all responses of a training earned, in the mean of a step."""
    rewards = [row["reward"] for row in outcome.rows if "reward" in row]
    low, high = min(rewards), max(rewards)
    return f"reward {low:.3g} throughout" if low == high else f"rewards {low:.3g} to {high:.3g}"


def run_file(root: Path, path: Path) -> None:
    """Runs the stage of a file that `thicket compose` wrote. Raises: ConfigError, and what `run_stage` raises."""
    die_with_dvc()
    stage = read_stage(path)
    run_stage(root, stage, in_pipeline(root, stage))
