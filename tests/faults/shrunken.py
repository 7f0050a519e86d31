"""A pipeline with a stage of every kind, each as short as it can be killed in, and what its stages make undisturbed."""

import hashlib
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from lab import Lab, new_lab
from toys import VALUES

MARK = "THICKET_FAULTS"
"""Environment variable by which all processes of a disturbed run are found again."""
METHODS = {
    "grpo": {"steps": 40},
    "sft": {"steps": 120, "batch": 8, "select_samples": 2},
    "ssd": {"steps": 100, "batch": 8, "select_samples": 2},
    "randopt": {"items": 12, "perturbations": 24, "members": 3},
    "es": {"items": 12, "steps": 4, "population": 6},
    "opd": {"steps": 30},
}
SPECIALISTS = {
    f"sort-{method}": {"base": "tiny", "domain": "sort", "method": method}
    for method in ("grpo", "sft", "ssd", "randopt", "es")
} | {"reverse-grpo": {"base": "tiny", "domain": "reverse", "method": "grpo"}}
TEACHERS = ["sort-grpo", "reverse-grpo"]
STUDENTS: dict[str, Any] = {
    "opd": {"base": "tiny", "method": "opd", "teachers": TEACHERS},
    "soup": {"base": "tiny", "method": "soup", "teachers": TEACHERS},
    "mixed": {"base": "tiny", "method": "mixed", "domains": ["sort", "reverse"], "budget_of": "opd"},
}
DENSITY = {"items": 12, "perturbations": 24}
STAGES = (
    "compose",
    "data-sort",
    "base-tiny",
    "specialist-sort-grpo",
    "specialist-sort-sft",
    "specialist-sort-ssd",
    "specialist-sort-randopt",
    "specialist-sort-es",
    "student-opd",
    "student-soup",
    "student-mixed",
    "evaluate-tiny",
    "analyze-density",
    "report",
    "claims",
)
"""Those that are disturbed: one of every kind."""


def shrunken(root: Path) -> Lab:
    """The project, before anything is made."""
    lab = new_lab(root, loads_itself=True)  # or forks would lack the mark

    def all_kinds(declared: dict[str, Any]) -> None:
        methods = {name: VALUES["method"].get(name, {}) | more for name, more in METHODS.items()}
        declared["specialists"], declared["students"] = SPECIALISTS, STUDENTS
        declared["analyses"] = {"density": {"analysis": "density", "models": ["tiny"]}}
        values = declared["values"]
        values["method"] |= methods
        values["base"]["tiny"]["steps"] = 60
        values["analysis"] = {"density": DENSITY}
        values["evaluation"]["default"]["samples"] = 8
        values["sampler"]["torch"]["batch"] = 16

    lab.edit(all_kinds)
    lab.call("dvc", "config", "core.check_update", "false")
    lab.commit("every kind of stage")
    return lab


@dataclass(frozen=True)
class Reference:
    """What a stage makes when nobody disturbs it."""

    outs: dict[str, str]
    """Path → what `fingerprint` says of it."""
    entry: Any
    """Its part of dvc.lock."""
    seconds: float = 0.0
    """How long its `dvc repro` took."""
    lock: str = ""
    """dvc.lock, with everything made."""
    moments: list[str] = field(default_factory=list)
    """What was seen to come while it ran."""


def outs_of(lab: Lab, stage: str) -> list[Path]:
    """Files and folders that dvc.yaml names as a stage's outs."""
    declared = yaml.safe_load((lab.root / "dvc.yaml").read_text(encoding="utf-8"))["stages"][stage]
    listed = [out for key in ("outs", "metrics", "plots") for out in declared.get(key, [])]
    return [lab.root / (next(iter(out)) if isinstance(out, dict) else out) for out in listed]


def fingerprint(path: Path) -> str:
    """A hash of every byte of an out."""
    if not path.exists():
        return "not there"
    digest = hashlib.sha256()
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file():
            digest.update(f"{file.relative_to(path)}\0".encode() + file.read_bytes() + b"\0")
    return digest.hexdigest()


def fingerprints(lab: Lab, stage: str) -> dict[str, str]:
    return {str(out.relative_to(lab.root)): fingerprint(out) for out in outs_of(lab, stage)}


def lock_of(lab: Lab) -> dict[str, Any]:
    """What dvc.lock records, by stage. Raises: yaml.YAMLError where it is not whole."""
    return yaml.safe_load((lab.root / "dvc.lock").read_text(encoding="utf-8"))["stages"]


def forget(lab: Lab, stage: str, lock: str) -> None:
    """As if a stage had never run: not in dvc.lock, no outs, nothing kept of its work. DVC's run cache has it still."""
    path = lab.root / "dvc.lock"
    # As text: DVC would read some numbers otherwise than PyYAML writes them, and take their stages for changed.
    entry = rf"^  {re.escape(stage)}:\n(?:   .*\n)*"
    path.write_text(re.sub(entry, "", lock, flags=re.MULTILINE), encoding="utf-8")
    for out in outs_of(lab, stage):
        shutil.rmtree(out) if out.is_dir() else out.unlink(missing_ok=True)
    shutil.rmtree(lab.root / "build/resume", ignore_errors=True)


def start(lab: Lab, *command: str, mark: str) -> "subprocess.Popen[str]":
    """Starts a command as a session of its own, whose processes all carry the mark."""
    return subprocess.Popen(
        command,
        cwd=lab.root,
        env={**lab.environment, MARK: mark},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        # Where the tests themselves run in the background, a shell has them ignore SIGINT, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def marked(mark: str) -> list[int]:
    """The processes that carry a mark, wherever they have gone; a zombie has no environment any more."""
    sought, found = f"{MARK}={mark}\0".encode(), list[int]()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if sought in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def children(parent: int) -> Iterator[int]:
    """Of a process, all generations."""
    try:
        text = Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="utf-8")
    except OSError:
        return
    for child in map(int, text.split()):
        yield child
        yield from children(child)


def command_line(process: int) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""


def stage_process(dvc: int) -> int | None:
    """The process that DVC started for a stage."""
    lines = {process: command_line(process) for process in children(dvc)}
    return next((process for process, line in lines.items() if b"thicket\0" in line and b".warm" not in line), None)


def working_process(lab: Lab, dvc: int, mark: str) -> int | None:
    """The process that does a stage's work: a fork of the one with the libraries loaded, or the stage's own."""
    servers = [process for process in marked(mark) if b"thicket.warm" in command_line(process)]
    fork = next((server for server in servers if _parent(server) in servers), None)
    config = b"/models/", b"/evaluate/", b"/analyze/"
    own = stage_process(dvc)
    if fork is None and own is not None and any(part in command_line(own) for part in config):
        return None  # It waits for its fork.
    return fork or own


def _parent(process: int) -> int:
    try:
        return int(Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[1])
    except OSError:
        return 0


def gone(mark: str, seconds: float = 60.0) -> list[int]:
    """Waits until no process carries the mark; those that are still there after so long."""
    deadline = time.monotonic() + seconds
    while left := marked(mark):
        if time.monotonic() > deadline:
            return left
        time.sleep(0.05)
    return []


def end(processes: list[int]) -> None:
    """Ends what should have ended by itself."""
    for process in processes:
        try:
            os.kill(process, signal.SIGKILL)
        except ProcessLookupError:
            continue
