"""`thicket repro`: what `dvc repro` does, with stages side by side.

Each stage is DVC's own work, `dvc --wait-for-lock repro -s STAGE`: what is stale, what comes out of a cache and what
stands in dvc.lock is for DVC to say. It begins as soon as the stages that it reads are done. DVC is loaded once and
forked for each stage, and so are the stages' libraries (`thicket.warm`).
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from thicket.config.overrides import COMMAND_LINE
from thicket.config.places import LOGS
from thicket.config.problems import ConfigError, Problem, nearest
from thicket.output import outlives_readers
from thicket.plan.by_hand import REPRO
from thicket.plan.commands import plan_again
from thicket.plan.dag import Node, Schedule, behind, read_dag
from thicket.plan.dvclock import locked_stages, mend_rwlock, put_in_order
from thicket.plan.folders import MAKERS
from thicket.plan.shares import environment, threads_note
from thicket.plan.view import View
from thicket.signals import GRACE, die_with_parent
from thicket.stages.publish import Busy, locked
from thicket.standing import Record, read_record

PRINTED = LOGS / "dvc"
"""What DVC prints of each stage, and the stage with it; the stage itself keeps a log one folder up."""
COMPOSE = "compose"
"""The stage that writes the others' resolved configs."""
UNCHANGED = b"didn't change, skipping"
"""What DVC says of a stage that it didn't run; should it say so otherwise one day, more stages are looked at."""
PROBLEMS = 40
"""Lines of a log that may name all that is wrong with a configuration."""
TICK = 0.05
"""Seconds between two looks at what runs."""


@outlives_readers()
def run(root: Path, names: list[str], jobs: int, pull: bool) -> int:
    """Builds some stages, or all of them, with what they rest on, and plans first where that is due.

    Raises: ConfigError for a name that is none, and for a configuration that can't be planned.
    """
    try:
        with locked(root / REPRO, "the pipeline"):
            planned = plan_again(root)
            dag = read_dag(root)
            chosen, before = _chosen(dag, names), locked_stages(root)
            with View(sys.stdout) as view, _signals_noted() as came:
                if planned:
                    view.tell(planned)
                mend_rwlock(root)
                status = Repro({name: dag[name] for name in chosen}, jobs, pull, view, came).run()
                put_in_order(root, before, [COMPOSE, *dag])
                return status
    except Busy as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1


def _chosen(dag: dict[str, Node], names: list[str]) -> list[str]:
    """The stages that are asked for, a model's by its name, and what they rest on. Raises: ConfigError for a name that
    is none.
    """
    makes = {stage.partition("-")[2]: stage for stage in dag if stage.partition("-")[0] in MAKERS}
    unknown = [name for name in names if name not in dag and name not in makes]
    if unknown:
        wrong, known = "dvc.yaml has no such stage, nor such a model", [*dag, *makes]
        problems = [Problem(COMMAND_LINE, name, "", wrong, ", ".join(dag), nearest(name, known)) for name in unknown]
        raise ConfigError(problems)
    return behind(dag, [name if name in dag else makes[name] for name in names] or list(dag))


@dataclass
class Running:
    """A stage that DVC is at."""

    name: str
    slot: int
    began: float
    log: Path
    before: Record | None
    """Of the stage's last run before this one."""


class Repro:
    """A run over a graph."""

    def __init__(self, dag: dict[str, Node], jobs: int, pull: bool, view: View, came: Callable[[], list[int]]):
        import dvc.commands.repro
        import dvc.commands.status
        import dvc.repo.reproduce  # noqa: F401  (each fork has them)

        self.schedule, self.pull, self.view, self.came = Schedule(dag), pull, view, came
        self.jobs, self.slots = jobs, list(range(jobs))
        self.at: dict[int, Running] = {}
        self.changed = set[str]()
        self.faults: dict[str, tuple[str, list[str]]] = {}
        self.notes = set[str]()
        self.stale = set[str]()
        self.stopped_at: float | None = None
        PRINTED.mkdir(parents=True, exist_ok=True)

    def run(self) -> int:
        """The command's exit status."""
        self.view.note("looking at what is done")
        arguments = ["repro", "-s", COMPOSE]
        if self._wait_for(self._begin(COMPOSE, arguments)) != 0:
            return self._ended_early(COMPOSE)
        out = PRINTED / "status.json"
        if self._wait_for(self._begin("status", ["status", "--json"], out)) != 0:
            return self._ended_early("status")
        self.stale = set(json.loads(out.read_text(encoding="utf-8")))
        due, total = len(self.schedule.after(self.stale)), len(self.schedule.dag)
        if due:
            self.view.tell(f"{total - due} of {total} stages are done; at most {due} to make, {self.jobs} at a time")
        if self.stale and (note := threads_note(self.jobs)):
            self.view.tell(note)
        self._build()
        return self._told()

    def _build(self) -> None:
        """Until nothing runs and nothing can begin."""
        while True:
            for name in () if self.came() else self._due():
                if not self.slots:
                    break
                self.schedule.running.add(name)
                self._begin(name, ["repro", "-s", *(["--pull"] if self.pull else []), name])
                self.view.note(f"{name}  begins")
            if not self.at:
                return
            self._look()

    def _due(self) -> list[str]:
        """What can begin; of that, stages that are up to date are done at once."""
        while True:
            ready = self.schedule.ready()
            fresh = {
                name for name in ready if name not in self.stale and not self.schedule.dag[name].needs & self.changed
            }
            if not fresh:
                return ready
            self.schedule.done |= fresh

    def _begin(self, name: str, arguments: list[str], out: Path | None = None) -> int:
        """Starts a fork of DVC, whose output goes to a log; the fork's id."""
        before = read_record(LOGS, name)
        one = Running(name, self.slots.pop(0), time.monotonic(), PRINTED / f"{name}.log", before)
        out = out or one.log
        one.log.write_bytes(b"")
        out.write_bytes(b"")
        self.view.flush()
        pid = os.fork()
        if not pid:
            _be_dvc(["--wait-for-lock", *arguments], environment(self.jobs, one.slot), one.log, out)
        self.at[pid] = one
        return pid

    def _wait_for(self, pid: int) -> int:
        status = None
        while status is None:
            status = self._look().get(pid)
        return status

    def _look(self) -> dict[int, int]:
        """Waits a moment; the forks that ended meanwhile, and how."""
        time.sleep(TICK)
        self.view.show([(one.name, time.monotonic() - one.began, one.log) for one in self.at.values()], self.schedule)
        self._stop_where_wanted()
        ended = {}
        for pid in list(self.at):
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                ended[pid] = os.waitstatus_to_exitcode(status)
                self._note(self.at.pop(pid), ended[pid])
        return ended

    def _note(self, one: Running, status: int) -> None:
        """What the end of a stage means for the others."""
        self.slots = sorted([*self.slots, one.slot])
        if one.name not in self.schedule.running:
            return
        self.schedule.running.discard(one.name)
        seconds = f"{time.monotonic() - one.began:.1f} s"
        if status != 0:
            self.schedule.failed.add(one.name)
            if not self.came():
                self.view.tell(f"{one.name}  failed after {seconds}{self._why(one)}")
            return
        self.schedule.done.add(one.name)
        unchanged = UNCHANGED in one.log.read_bytes()
        if not unchanged:
            self.changed.add(one.name)
        ended, total = len(self.schedule.done), len(self.schedule.dag)
        self.view.tell(f"{one.name}  {'as it was' if unchanged else 'done'}, {seconds}  ({ended} of {total})")
        for note in _notes(one.log):
            if note not in self.notes:  # Those of the environment come with every stage.
                self.notes.add(note)
                self.view.tell(f"    {note}")

    def _why(self, one: Running) -> str:
        """Why a stage failed, in words; where another failed for the same reason, just that."""
        record = read_record(LOGS, one.name)
        known = record is not None and record != one.before and record.mistake != ""
        alike = self.faults.setdefault(record.mistake, (record.fault, []))[1] if record and known else []
        alike.append(one.name)
        return f", as {alike[0]} did: {one.log}" if len(alike) > 1 else f": {one.log}\n{_end_of(one.log)}"

    # -- ends ----------------------------------------------------------------------------------------------------------

    def _stop_where_wanted(self) -> None:
        """At the first signal stages are asked to stop; at the second, or after a while, they are killed."""
        if not self.came():
            return
        if self.stopped_at is None:
            self.stopped_at = time.monotonic()
            self.view.tell(f"stopping: {', '.join(one.name for one in self.at.values())} (once more: at once)")
            for pid in self.at:
                _stop(pid)
        elif len(self.came()) > 1 or time.monotonic() > self.stopped_at + GRACE:
            for pid in self.at:
                with suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)

    def _ended_early(self, name: str) -> int:
        if self.came():
            return self._told()
        log = PRINTED / f"{name}.log"
        self.view.tell(f"{name}  failed: {log}\n{_end_of(log, PROBLEMS)}")
        return 1

    def _told(self) -> int:
        """Says how it ended; the exit status."""
        dag, done, failed = self.schedule.dag, self.schedule.done, self.schedule.failed
        if self.came():
            self.view.tell(f"Stopped: {len(done)} of {len(dag)} stages are done. The next run goes on from there.")
            return 128 + self.came()[0]
        skipped = self.schedule.skipped()
        if skipped:
            self.view.tell(f"not begun, as they need what failed: {', '.join(skipped)}")
        for fault, alike in self.faults.values():
            if len(alike) > 1:
                self.view.tell(f"one mistake stopped {', '.join(alike)}: {fault}")
        changed = f"{len(done)} of {len(dag)} stages are done, {len(self.changed)} of them made now"
        self.view.tell(changed + (f"; failed: {', '.join(sorted(failed))}" if failed else ""))
        return 1 if failed else 0


def _be_dvc(arguments: list[str], own: dict[str, str], log: Path, out: Path) -> None:
    """In a fork: DVC, in a group of its own that no Ctrl-C reaches: who forked it says when to stop. Never returns."""
    status = 255
    try:
        os.setpgid(0, 0)
        die_with_parent()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for stream, path in ((1, out), (2, log)):
            os.dup2(os.open(path, os.O_WRONLY | os.O_APPEND), stream)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.environ.update(own)
        from dvc.cli import main

        status = main(arguments) or 0
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status & 0xFF)


def _stop(dvc: int) -> None:
    """The stage writes a checkpoint and ends, which DVC takes for a failure; where no stage runs, DVC ends itself."""
    import psutil

    with suppress(psutil.NoSuchProcess):
        stages = psutil.Process(dvc).children()
        for stage in stages:
            stage.terminate()
        if not stages:
            os.kill(dvc, signal.SIGINT)


@contextmanager
def _signals_noted() -> Iterator[Callable[[], list[int]]]:
    """SIGINT and SIGTERM are noted, in the order in which they come, and end nothing."""
    came: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda got, _: came.append(got)) for number in numbers]
    try:
        yield lambda: came
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _notes(log: Path) -> list[str]:
    """What a stage noted for people."""
    text = log.read_text(encoding="utf-8", errors="replace")
    return [line for line in text.splitlines() if line.startswith("Note: ")]


def _end_of(log: Path, lines: int = 5) -> str:
    """A log's last lines."""
    text = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return "\n".join(f"    {line}" for line in text[-lines:])
