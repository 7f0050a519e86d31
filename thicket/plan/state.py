"""What has been made of each stage: done, stale and why, missing, running, failed or stopped."""

import json
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from thicket.config.never_right import in_words, noted_in
from thicket.config.places import LOGS
from thicket.config.project import Project
from thicket.config.stages import EvaluateStage
from thicket.config.useful import USELESS, was_useless
from thicket.plan.locks import held, is_locked
from thicket.plan.pipeline import Planned, pipeline
from thicket.plan.reasons import Reason, changed_values
from thicket.plan.recorded import Locked, at_work, in_the_making, is_cached, locked_since, read_lock, wrong_with
from thicket.plan.run_states import ended_words, making_words
from thicket.stages.run import in_pipeline, ran, resume_folder
from thicket.standing import Record, log_of, read_record

Mark = Literal["done", "stale", "missing", "running", "failed", "stopped"]
SHOWN = 2
"""The most reasons that a line gives."""
OTHER = {"config": "another config", "code": "other code"}
"""Part of what a stage runs → what is said where it was another."""
MARKS: tuple[Mark, ...] = ("done", "running", "failed", "stopped", "stale", "missing")


@dataclass(frozen=True)
class State:
    """What has been made of a stage."""

    planned: Planned
    mark: Mark
    why: tuple[Reason, ...]
    parents: tuple[str, ...]
    """The stages whose artifacts it reads."""
    record: Record | None
    """Of its last run, where that is what counts: it runs, or broke off."""
    log: Path | None
    """Of its last run; None where there was none."""
    recording: bool = False
    """Whether its run has ended, and DVC is about to note in dvc.lock what it made; until then it counts as running."""
    resumes: bool = False
    """Of one that broke off: whether there is a checkpoint that it would go on from."""
    restorable: bool = False
    """Whether what is missing or changed would be made again as DVC's cache has it."""
    note: str = ""
    """What its making left to be said: of a training that came to nothing, of scores that can't reach 100 %."""

    @property
    def id(self) -> str:
        return self.planned.resolved.id

    @property
    def reasons(self) -> str:
        """The first reasons why it would run, in words."""
        more = f", and {len(self.why) - SHOWN} more" if len(self.why) > SHOWN else ""
        return f"{', '.join(map(str, self.why[:SHOWN]))}{more}"

    @property
    def seconds_left(self) -> float | None:
        """Of the part of its work that it is at."""
        return self.record.left if self.record and self.mark == "running" else None


def states(root: Path, stages: list[Planned]) -> list[State]:
    """The state of every stage, in the order of the stages. These carry the hashes of their code."""
    return _Look(root, stages).all()


class _Look:
    def __init__(self, root: Path, stages: list[Planned]):
        self.root, self.stages = root, stages
        # Before dvc.lock, which has what DVC was at by the time that it is at it no more.
        self.at_work, self.in_the_making = at_work(root, held()), in_the_making(root)
        self.locked, self.since = read_lock(root), locked_since(root)
        self.made_by = {out: one.resolved.id for one in stages for out in outs_of(one)}
        self.held = held()
        self.in_the_making |= in_the_making(root)

    def all(self) -> list[State]:
        found: dict[str, State] = {}
        for planned in self.stages:  # after those that it reads
            state = self._state(planned, found)
            found[state.id] = state
        return list(found.values())

    def _state(self, planned: Planned, found: dict[str, State]) -> State:
        stage: Any = planned.resolved.stage
        name = planned.resolved.id
        parents = tuple(dict.fromkeys(self.made_by[p] for p in self._reads(planned) if p in self.made_by))
        targets, record = in_pipeline(self.root, stage), read_record(self.root / LOGS, name)
        why = tuple(self._why(planned, [found[parent] for parent in parents], record))
        mark: Mark = "done" if not why else "missing" if self._is_missing(planned) else "stale"
        runs = is_locked(targets.lock(self.root, stage), self.held)
        recording = bool(why) and not runs and record is not None and self._is_being_recorded(planned, why, record)
        # DVC removes an artifact some seconds before the stage that makes it anew takes its lock.
        if runs or recording or (why and self._making(planned)):
            mark = "running"
        elif why and record and record.status != "done" and record.started > self._written(outs_of(planned)):
            if changed := self._changed_since(planned, record):
                others = (reason for reason in why if mark == "stale" or reason.kind != "record")
                why = (Reason("run", f"{changed} changed since it {ended_words(record)}"), *others)
            else:
                mark = "failed" if record.status == "failed" else "stopped"
        path = log_of(self.root / LOGS, name)
        log = path.relative_to(self.root) if path.is_file() else None
        shown = record if mark in ("running", "failed", "stopped") else None
        own = [reason for reason in why if reason.kind != "parent"]
        restorable = bool(own) and all(reason.restorable for reason in own)
        resumes = mark == "stopped" and resume_folder(self.root, stage).is_dir()
        return State(planned, mark, why, parents, shown, log, recording, resumes, restorable, self._note(planned))

    def _making(self, planned: Planned) -> list[float]:
        """Since when those DVC processes are there that are having it made."""
        return [self.in_the_making[out] for out in outs_of(planned) if out in self.in_the_making]

    def _is_being_recorded(self, planned: Planned, why: tuple[Reason, ...], record: Record) -> bool:
        """Whether its run has ended, under a DVC process that has not noted yet in dvc.lock what it made.

        That hashes and copies it first, and at the very end it says of nothing any more that it is at it.
        """
        if record.status != "done" or self._is_missing(planned):
            return False
        unknown = record.updated > self.since or any(reason.kind in ("artifact", "record") for reason in why)
        last = [self.at_work] if unknown and self.at_work is not None else []
        return any(began < record.updated for began in [*self._making(planned), *last])

    def _note(self, planned: Planned) -> str:
        """By a model's ledger, or an evaluation's metrics."""
        stage = planned.resolved.stage
        with suppress(OSError, ValueError):  # It is not there, or broken, which is said where it is needed.
            if isinstance(stage, EvaluateStage):
                return in_words(noted_in(self._read(planned.artifact / "metrics.json")), stage.evaluation.split)
            return USELESS if any(was_useless(self._read(path)) for path in planned.metrics) else ""
        return ""

    def _read(self, path: Path) -> Any:
        return json.loads((self.root / path).read_text(encoding="utf-8"))

    def _why(self, planned: Planned, parents: list[State], record: Record | None) -> Iterator[Reason]:
        name = planned.resolved.id
        made, there = self.locked.get(name), any((self.root / out).exists() for out in outs_of(planned))
        kept = made is not None and any(is_cached(self.root, entry) for entry in made.outs.values())
        if not there and not kept:
            yield Reason("record", "never built" if made is None else "not built here")
            return
        if made is None:
            yield Reason("record", _unrecorded(planned, record))
        else:
            changed = [*changed_values(planned, made), *self._changed_inputs(planned, made)]
            yield from changed
            yield from self._changed_outputs(planned, made, wanted=not changed)
        for parent in parents:
            if parent.mark != "done":
                yield Reason("parent", f"{parent.id} is {parent.mark}")

    def _changed_inputs(self, planned: Planned, made: Locked) -> Iterator[Reason]:
        if made.cmd != f"exec thicket run {planned.config.as_posix()}":
            yield Reason("command", "its command is another")
        reads = set(self._reads(planned))
        for path in sorted(reads ^ made.deps.keys()):
            yield Reason("input", f"{path} is {'new' if path in reads else 'read no more'}")
        for path, entry in made.deps.items():
            maker = self.locked.get(self.made_by.get(path, ""))
            if path not in reads:
                continue
            if maker and path in maker.outs:
                wrong = "was made anew" if maker.outs[path].md5 != entry.md5 else ""
            else:
                wrong = wrong_with(self.root, entry, self.since)
            if wrong:
                yield Reason("input", f"{path} {wrong if ' ' in wrong else f'is {wrong}'}")

    def _changed_outputs(self, planned: Planned, made: Locked, wanted: bool) -> Iterator[Reason]:
        """`wanted`: whether it would be made again as it was, so that the cache's is as good."""
        outs = {path: made.outs.get(path) for path in outs_of(planned)}
        wrong = {path: wrong_with(self.root, entry, self.since) if entry else "missing" for path, entry in outs.items()}
        kinds = (("missing", "missing"), ("changed", "not what the stage made"))
        for paths, said in (([path for path in outs if wrong[path] == kind], said) for kind, said in kinds):
            if paths:
                more = f" and {len(paths) - 1} more are" if len(paths) > 1 else " is"
                back = wanted and all((entry := outs[path]) and is_cached(self.root, entry) for path in paths)
                hint = f": {_restored_by([planned.resolved.id], len(paths) > 1)}" if back else ""
                yield Reason("artifact", f"{paths[0]}{more} {said}{hint}", restorable=back)

    def _reads(self, planned: Planned) -> list[str]:
        return [path.as_posix() for path in planned.reads]

    def _is_missing(self, planned: Planned) -> bool:
        return not all((self.root / out).exists() for out in outs_of(planned))

    def _changed_since(self, planned: Planned, record: Record) -> str:
        """What is another now than when its last run broke off, in words; empty: nothing, or it goes on from there."""
        stage: Any = planned.resolved.stage
        if record.status != "failed" and resume_folder(self.root, stage).is_dir():
            return ""
        changed = _other_parts(record, planned)
        if not changed and self._written(self._reads(planned)) > record.updated:
            changed = ["what it reads"]
        return " and ".join(changed)

    def _written(self, paths: list[str]) -> float:
        """When the last of some files and folders was written: a run that began before is of no interest."""
        files = (file for path in paths for file in (self.root / path, *(self.root / path).rglob("*")))
        return max((file.stat().st_mtime for file in files if file.exists()), default=0.0)


def _other_parts(record: Record, planned: Planned) -> list[str]:
    """What was another when a stage's last run began: `config`, `code`."""
    now = ran(planned.resolved.stage)
    return [part for part, hashed in record.ran.items() if hashed != now[part]]


def _unrecorded(planned: Planned, record: Record | None) -> str:
    """What is to be said of what lies in a stage's places and dvc.lock does not know, as after another experiment."""
    known = record if record and record.status == "done" and record.ran else None
    if known and (other := _other_parts(known, planned)):
        return f"in build/, made with {' and '.join(OTHER[part] for part in other)}"
    lacking = "and dvc.lock knows nothing of it" if known else "of an unknown config"
    return f"in build/, {lacking}: `dvc commit {planned.resolved.id}` takes it as it is"


def outs_of(planned: Planned) -> list[str]:
    """What a stage writes, as dvc.yaml names it."""
    made = [planned.artifact / name for name in planned.files] or [planned.artifact]
    return [path.as_posix() for path in (*made, *planned.metrics, *planned.plots)]


def _restored_by(names: list[str], several: bool) -> str:
    """The command that brings back what stages made, one thing or `several`, from DVC's cache, for a message."""
    return f"`dvc checkout {' '.join(names)}` brings {'them' if several else 'it'} back"


def remedies(root: Path, names: Collection[str]) -> str:
    """The commands that make what some stages make, or bring it back, for a message. Raises: ConfigError."""
    found = [state for state in states(root, pipeline(Project(root))) if state.id in names]
    kept, others = ([one.id for one in found if one.restorable is kind] for kind in (True, False))
    if not others:
        return _restored_by(kept, len(kept) > 1)
    commands = {"dvc checkout": kept, "dvc repro": others}
    going = "".join(f"; {one.id} is {making_words(one.record)}" for one in found if one.mark == "running")
    return f"`{' && '.join(' '.join([command, *of]) for command, of in commands.items() if of)}` makes it{going}"
