"""What has been made of each stage: done, stale and why, missing, running, failed or stopped."""

import fcntl
import json
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from thicket.config.layers import Path_
from thicket.config.places import LOGS
from thicket.config.problems import dotted
from thicket.config.useful import USELESS, was_useless
from thicket.plan.inspect import leaves
from thicket.plan.pipeline import Planned
from thicket.plan.recorded import Locked, in_the_making, is_cached, locked_since, read_lock, wrong_with
from thicket.plan.source import path_of
from thicket.stages.run import in_pipeline
from thicket.standing import Record, log_of, read_record

Mark = Literal["done", "stale", "missing", "running", "failed", "stopped"]
MARKS: tuple[Mark, ...] = ("done", "running", "failed", "stopped", "stale", "missing")
LOCKS = Path("/proc/locks")


@dataclass(frozen=True)
class Reason:
    """Why a stage would run."""

    kind: Literal["config", "code", "command", "input", "parent", "artifact", "record"]
    what: str
    before: Any = None
    after: Any = None

    def __str__(self) -> str:
        if self.kind == "config":
            return f"config: {self.what} {_spelt(self.before)} → {_spelt(self.after)}"
        return f"{self.kind}: {self.what}" if self.kind in ("code", "input") else self.what


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
    note: str = ""
    """What its making left to be said."""

    @property
    def id(self) -> str:
        return self.planned.resolved.id

    @property
    def seconds_left(self) -> float | None:
        """Of the part of its work that it is at."""
        if self.record is None or self.record.seconds_left is None or self.mark != "running":
            return None
        # Not more than was left, whatever the clock has done since.
        return max(0.0, self.record.seconds_left - max(0.0, time.time() - self.record.updated))


def states(root: Path, stages: list[Planned]) -> list[State]:
    """The state of every stage, in the order of the stages. These carry the hashes of their code."""
    return _Look(root, stages).all()


class _Look:
    def __init__(self, root: Path, stages: list[Planned]):
        self.root, self.stages = root, stages
        self.locked, self.since = read_lock(root), locked_since(root)
        self.made_by = {out: one.resolved.id for one in stages for out in outs_of(one)}
        self.held, self.in_the_making = held(), in_the_making(root)

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
        why = tuple(self._why(planned, [found[parent] for parent in parents]))
        targets, record = in_pipeline(self.root, stage), read_record(self.root / LOGS, name)
        mark: Mark = "done" if not why else "missing" if self._is_missing(planned) else "stale"
        # DVC removes an artifact some seconds before the stage that makes it anew takes its lock.
        if is_locked(targets.lock(self.root, stage), self.held) or self.in_the_making.intersection(outs_of(planned)):
            mark = "running"
        elif why and record and record.status != "done" and record.started > self._made_at(planned):
            mark = "failed" if record.status == "failed" else "stopped"
        log = log_of(self.root / LOGS, name)
        shown = record if mark in ("running", "failed", "stopped") else None
        kept = log.relative_to(self.root) if log.is_file() else None
        return State(planned, mark, why, parents, shown, kept, self._note(planned))

    def _note(self, planned: Planned) -> str:
        """Of a model's training that came to nothing."""
        with suppress(OSError, ValueError):  # It is not there, or broken, which is said where it is needed.
            ledgers = [json.loads((self.root / path).read_text(encoding="utf-8")) for path in planned.metrics]
            return USELESS if any(map(was_useless, ledgers)) else ""
        return ""

    def _why(self, planned: Planned, parents: list[State]) -> Iterator[Reason]:
        name = planned.resolved.id
        made, there = self.locked.get(name), any((self.root / out).exists() for out in outs_of(planned))
        kept = made is not None and any(is_cached(self.root, entry) for entry in made.outs.values())
        if not there and not kept:
            yield Reason("record", "never built" if made is None else "not built here")
            return
        if made is None:
            yield Reason(
                "record", f"in build/, and dvc.lock knows nothing of it: `dvc commit {name}` takes it as it is"
            )
        else:
            yield from _changed_values(planned, made)
            yield from self._changed_inputs(planned, made)
            yield from self._changed_outputs(planned, made)
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

    def _changed_outputs(self, planned: Planned, made: Locked) -> Iterator[Reason]:
        outs = {path: made.outs.get(path) for path in outs_of(planned)}
        wrong = {path: wrong_with(self.root, entry, self.since) if entry else "missing" for path, entry in outs.items()}
        yield from (
            Reason("artifact", f"{path} is not what the stage made") for path in outs if wrong[path] == "changed"
        )
        if missing := [path for path in outs if wrong[path] == "missing"]:
            back = any((entry := outs[path]) is not None and is_cached(self.root, entry) for path in missing)
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            hint = ": `dvc checkout` brings them back" if more else ": `dvc checkout` brings it back"
            yield Reason("artifact", f"{missing[0]}{more} {'are' if more else 'is'} missing{hint if back else ''}")

    def _reads(self, planned: Planned) -> list[str]:
        return [path.as_posix() for path in planned.reads]

    def _is_missing(self, planned: Planned) -> bool:
        return not all((self.root / out).exists() for out in outs_of(planned))

    def _made_at(self, planned: Planned) -> float:
        """When its artifact was published: a record from before is of no interest."""
        paths = [self.root / out for out in outs_of(planned)]
        return max((path.stat().st_mtime for path in paths if path.exists()), default=0.0)


def outs_of(planned: Planned) -> list[str]:
    """What a stage writes, as dvc.yaml names it."""
    made = [planned.artifact / name for name in planned.files] or [planned.artifact]
    return [path.as_posix() for path in (*made, *planned.metrics, *planned.plots)]


def _changed_values(planned: Planned, made: Locked) -> Iterator[Reason]:
    """The values of the config, and the modules, that are not those of the last run."""
    now = planned.resolved.stage.model_dump(mode="json")
    before = made.params.get(planned.config.as_posix()) or {}
    if now == before:
        return
    code, other = now.pop("code", {}), dict(before)
    code_before = other.pop("code", {})
    for module in sorted(code.keys() | code_before.keys()):
        if code.get(module) != code_before.get(module):
            change = "" if module in code and module in code_before else " is new" if module in code else " is gone"
            yield Reason("code", f"{_file_of(module)}{change}", code_before.get(module), code.get(module))
    sides: list[dict[Path_, Any]] = [dict(leaves(side)) for side in (other, now)]
    for path in dict.fromkeys([*sides[1], *sides[0]]):
        if sides[0].get(path) != sides[1].get(path):
            yield Reason("config", dotted(path), sides[0].get(path), sides[1].get(path))


def _file_of(module: str) -> str:
    """A module's file from its package's folder on: `thicket/ops/noise.py`; a plug-in's likewise."""
    path = path_of(module)
    parts = module.split(".") if path.stem == "__init__" else module.split(".")[:-1]
    return "/".join([*parts, path.name])


def _spelt(value: Any) -> str:
    return "—" if value is None else value if isinstance(value, str) else f"{value}"


def held() -> set[int] | None:
    """Inodes of the files that are locked; None where the system does not say."""
    try:
        lines = LOCKS.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    # `1: FLOCK  ADVISORY  WRITE 4711 fe:00:2197839 0 EOF`; not every file system gives `stat` the same device.
    return {int(line.split()[-3].rpartition(":")[2]) for line in lines if " FLOCK " in line}


def is_locked(path: Path, held: set[int] | None) -> bool:
    """Whether a process holds a lock; looking does not take it, where the system says so."""
    if not path.is_file():
        return False
    if held is not None:
        return path.stat().st_ino in held
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
