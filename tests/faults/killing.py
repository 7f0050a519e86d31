"""One disturbed run: a kill at some moment of a stage, what it leaves, and what `dvc repro` makes of that."""

import fcntl
import json
import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from lab import Lab
from shrunken import (
    Reference,
    end,
    fingerprints,
    forget,
    gone,
    lock_of,
    marked,
    outs_of,
    stage_process,
    start,
    working_process,
)

from thicket.plan.dvclock import RWLOCK, is_json, is_whole

SIGNALS = ("INT", "TERM", "KILL")
TARGETS = ("dvc", "group", "stage", "worker")
"""The dvc process alone; its process group, as a terminal does; the process that dvc started; the one that works."""
RANDOM = "random"
"""The moment that is a random share of the stage's time, not one that is waited for."""
REPRO = ("dvc", "repro", "--no-run-cache")
"""The run cache would hand out what an earlier run has made."""
LONGEST = 600.0
"""Seconds that anything may take."""
POLL_SECONDS = 0.001
PATTERNS = {
    "the libraries load": ("build/resume/*.socket",),
    "a checkpoint is being written": ("build/resume/*/.last.ckpt.partial",),
    "a checkpoint is there": ("build/resume/*/last.ckpt", "build/resume/*/samples/*.jsonl"),
    "the artifact is being written": ("build/*/.*.partial/*", "build/.*.partial/*"),
    "weights are being written": ("build/models/.*.partial/model.safetensors",),
}
"""Moment → the files that then appear."""
PUBLISHED, RECORDED = "the artifact is there", "dvc.lock is written"


@dataclass(frozen=True)
class Kill:
    """What is done to a run."""

    stage: str
    number: int
    signal: str
    target: str
    moment: str
    share: float
    """Of the stage's time, where the moment is a random one; else seconds after it, times ten."""


@dataclass
class Found:
    """What came of it."""

    kill: Kill
    outcome: str
    problems: list[str] = field(default_factory=list)
    printed: str = ""
    """Where there is a problem, or the kill seems to have had no effect."""


def drawn(stage: str, number: int, seed: int, moments: list[str]) -> Kill:
    """The kill of this number: signals and targets take turns, moments are drawn, half of them at random times."""
    rng = random.Random(f"{seed}:{stage}:{number}")
    moment = RANDOM if number % 2 else rng.choice(moments or [RANDOM])
    way = SIGNALS[number % len(SIGNALS)], TARGETS[number % len(TARGETS)]  # All twelve pairs in twelve kills.
    return Kill(stage, number, *way, moment, rng.random())


class Watch:
    """Says which of the named moments have come in a run of a stage."""

    def __init__(self, lab: Lab, stage: str):
        self.lab, self.lock = lab, lab.root / "dvc.lock"
        self.artifact = outs_of(lab, stage)[0]
        self.before = self._stamp()

    def _stamp(self) -> tuple[int, int]:
        found = self.lock.stat()
        return found.st_mtime_ns, found.st_size

    def came(self, moment: str) -> bool:
        if moment == PUBLISHED:
            return self.artifact.exists()
        if moment == RECORDED:
            return self._stamp() != self.before
        return any(next(self.lab.root.glob(pattern), None) for pattern in PATTERNS[moment])


def measured(lab: Lab, stage: str, mark: str) -> Reference:
    """A run that nobody disturbs: what it makes, how long it takes, and which moments come."""
    lock = (lab.root / "dvc.lock").read_text(encoding="utf-8")
    forget(lab, stage, lock)
    watch, seen, began = Watch(lab, stage), set[str](), time.monotonic()
    dvc = start(lab, *REPRO, "-s", stage, mark=mark)
    read = Reading(dvc)
    while dvc.poll() is None:
        seen |= {moment for moment in (*PATTERNS, PUBLISHED, RECORDED) if moment not in seen and watch.came(moment)}
        time.sleep(POLL_SECONDS)
    seconds = time.monotonic() - began
    assert dvc.returncode == 0, read.text()
    end(gone(mark))
    return Reference(fingerprints(lab, stage), lock_of(lab)[stage], seconds, lock, sorted(seen))


class Reading:
    """Takes in what a process prints, so that it never waits for a reader."""

    def __init__(self, process: "subprocess.Popen[str]"):
        self._process, self._lines = process, list[str]()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as printed:
            for line in printed:
                self._lines.append(line)

    def text(self) -> str:
        self._thread.join(5.0)  # What a process that was not ended holds open is not waited for.
        return "".join(self._lines)


def disturbed(lab: Lab, kill: Kill, reference: Reference, mark: str) -> Found:
    """Kills a run of the stage at the moment, and looks at what is there then, and after `dvc repro`."""
    forget(lab, kill.stage, reference.lock)
    watch = Watch(lab, kill.stage)
    dvc = start(lab, *REPRO, "-s", kill.stage, mark=mark)
    read = Reading(dvc)
    sent = _kill(lab, dvc, kill, watch, reference.seconds, mark)
    try:
        dvc.wait(LONGEST)
    except subprocess.TimeoutExpired:
        end(marked(mark))
        return Found(kill, "hung", [f"dvc still ran after {LONGEST:g} s"], read.text())
    left = gone(mark)
    end(left)
    problems = [f"{len(left)} processes were still there after a minute"] if left else []
    problems += _unfinished(lab, kill.stage, reference) + list(_locks(lab))
    printed = read.text()
    problems += ["a traceback of thicket's"] if _blames_thicket(printed) else []
    outcome, more = _recovered(lab, kill.stage, reference, mark)
    if not sent:
        outcome = "too late"
    unmoved = outcome == "was done" and kill.target in ("stage", "worker")
    return Found(kill, outcome, problems + more, printed if problems or more or unmoved else "")


def _blames_thicket(printed: str) -> bool:
    """Whether something else than the kill itself left a traceback with thicket's code in it."""
    last = printed.rsplit("Traceback", 1)[-1] if "Traceback" in printed else ""
    return "thicket/" in last and "KeyboardInterrupt" not in last


def _kill(lab: Lab, dvc: "subprocess.Popen[str]", kill: Kill, watch: Watch, seconds: float, mark: str) -> bool:
    """Waits for the moment and sends the signal; False where the run was over before."""
    if kill.moment == RANDOM:
        with suppress(subprocess.TimeoutExpired):
            dvc.wait(kill.share * seconds)
    else:
        while dvc.poll() is None and not watch.came(kill.moment):
            time.sleep(POLL_SECONDS)
        time.sleep(kill.share / 10)
    number, target = getattr(signal, f"SIG{kill.signal}"), _target(lab, dvc, kill.target, mark)
    while target is None and dvc.poll() is None:  # The stage has not begun.
        time.sleep(POLL_SECONDS)
        target = _target(lab, dvc, kill.target, mark)
    if dvc.poll() is not None or target is None:
        return False
    try:
        (os.killpg if kill.target == "group" else os.kill)(target, number)
    except ProcessLookupError:
        return False
    return True


def _target(lab: Lab, dvc: "subprocess.Popen[str]", target: str, mark: str) -> int | None:
    if target == "stage":
        return stage_process(dvc.pid)
    return working_process(lab, dvc.pid, mark) if target == "worker" else dvc.pid


def _unfinished(lab: Lab, stage: str, reference: Reference) -> list[str]:
    """Where something that is not whole is recorded, or lies where whole artifacts do."""
    problems, there = [], fingerprints(lab, stage)
    artifact = next(iter(there))
    if there[artifact] not in ("not there", reference.outs[artifact]) and not stage.startswith(("report", "claims")):
        problems.append(f"{artifact} is there, and not what an undisturbed run makes")
    try:
        recorded = lock_of(lab).get(stage)
    except (yaml.YAMLError, TypeError, KeyError):
        return problems  # DVC writes it in place; see `_recovered`.
    if recorded is not None:
        problems += [f"{path} is recorded, and differs" for path in there if there[path] != reference.outs[path]]
        problems += [
            f"dvc.lock records another {one['path']}"
            for one, other in zip(_fixed(recorded), _fixed(reference.entry), strict=True)
            if one != other
        ]
    return problems


def _fixed(entry: Any) -> list[dict[str, Any]]:
    """The outs of an entry of dvc.lock that the seed fixes."""
    return [out for out in entry["outs"] if not out["path"].startswith("build/metrics")]


def _locks(lab: Lab) -> Iterable[str]:
    """Locks of thicket's that are held though nobody is left. Of DVC's the next command tells."""
    for path in (lab.root / "build/resume").glob("*.lock"):
        with path.open(encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield f"{path.name} is held"


def _recovered(lab: Lab, stage: str, reference: Reference, mark: str) -> tuple[str, list[str]]:
    """What `dvc repro` does then, and where its outs are not those of an undisturbed run."""
    mended = not is_whole(lab.root / "dvc.lock")
    if mended or not is_json(lab.root / RWLOCK):  # What is stated for them (docs/faults.md).
        lab.call("thicket", "plan")  # The run cache then has what dvc.lock has lost.
    dvc = start(lab, *(REPRO[:2] if mended else REPRO), stage, mark=mark)
    read = Reading(dvc)
    try:
        dvc.wait(LONGEST)
    except subprocess.TimeoutExpired:
        end(marked(mark))
        return "hung", ["`dvc repro` hung", read.text()]
    end(gone(mark))
    printed = read.text()
    if dvc.returncode != 0:
        return "stuck", [f"`dvc repro` ended with {dvc.returncode}", printed]
    now = fingerprints(lab, stage)
    problems = [f"{path} differs after `dvc repro`" for path in now if now[path] != reference.outs[path]]
    problems += list(_litter(lab))
    if mended:
        return "lock mended", problems
    if f"Running stage '{stage}'" not in printed:
        return "was done", problems
    return ("went on" if "goes on from" in printed else "ran again"), problems


def _litter(lab: Lab) -> Iterable[str]:
    """What a run should have cleared away."""
    for pattern in ("build/**/*.partial", "build/**/.*.partial", "build/resume/*/last.ckpt*", "dvc.lock.partial"):
        for path in lab.root.glob(pattern):
            yield f"{path.relative_to(lab.root)} is left over"


def as_json(found: Found) -> dict[str, Any]:
    return {**vars(found.kill), "outcome": found.outcome, "problems": found.problems, "printed": found.printed}


def said(found: Found) -> str:
    kill = found.kill
    when = f"{kill.moment} {kill.share:.2f}"
    line = f"{kill.stage:24} {kill.number:3}  {kill.signal:4} {kill.target:6} {when:36} {found.outcome}"
    return "\n".join([line, *(f"    !! {problem}" for problem in found.problems)])


Tell = Callable[[str], None]


def save(path: Path, held: dict[str, Any]) -> None:
    """Writes the report in one piece."""
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(held, indent=1) + "\n", encoding="utf-8")
    os.replace(partial, path)
