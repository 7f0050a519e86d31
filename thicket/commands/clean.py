"""The command clean: what caches and checkpoints hold, and freeing what nothing needs."""

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from thicket.commands import cache
from thicket.config.overrides import COMMAND_LINE
from thicket.config.places import LOGS, PARAMS, RESUME, RUNS, SCORES
from thicket.config.problems import ConfigError, Problem, nearest
from thicket.config.project import Project
from thicket.plan import console
from thicket.plan.by_hand import REPRO, repro_words
from thicket.plan.locks import held, is_locked
from thicket.plan.pipeline import Planned, pipeline
from thicket.plan.recorded import CACHE
from thicket.stages.run import resume_folder, unfinished

BANKS = RESUME / "analysis"
CACHED = ("cache", "earlier")
"""Kinds that lie in DVC's cache, which DVC frees."""
ASKED = ("earlier", "stopped", "scores", "runs", "logs")
"""Kinds that are freed only by name: somebody may still want them, and for runs there is no other copy."""


@dataclass(frozen=True)
class Held:
    """What a place holds."""

    kind: str
    what: str
    size: int
    """Bytes."""
    free: list[Path] = field(default_factory=list)
    """What can go."""
    note: str = ""
    kept: list[str] = field(default_factory=list)
    """What goes on from what stays."""

    @property
    def free_size(self) -> int:
        return sum(map(_size, self.free))


def clean(root: Path, kinds: list[str], yes: bool, as_json: bool) -> None:
    """Prints what each kind holds and, with `yes`, frees what can go.

    Raises: ConfigError for an unknown kind; ValueError where a stage or DVC runs, or git can't read what commits need.
    """
    if unknown := [kind for kind in kinds if kind not in LOOKS]:
        near = nearest(unknown[0], list(LOOKS))
        raise ConfigError([Problem(COMMAND_LINE, "KIND", repr(unknown[0]), "no such kind", ", ".join(LOOKS), near)])
    if yes and (running := _running(root)):
        raise ValueError(f"{running}: free things when nothing runs")
    found = [look(root) for kind, look in LOOKS.items() if not kinds or kind in kinds]
    sizes = {one.kind: one.free_size for one in found}
    freed = [one for one in found if yes and one.free and (kinds or one.kind not in ASKED)]
    for one in freed:
        print(f"freeing {one.kind}: {_shown(sizes[one.kind])}", file=sys.stderr, flush=True)
        if one.kind in CACHED:
            cache.collect(root, named=one.kind == "earlier")
        for path in [] if one.kind in CACHED else one.free:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    if as_json:
        rows = {one.kind: {"bytes": one.size, "can_free": sizes[one.kind], "freed": one in freed} for one in found}
        console.print_json({one.kind: {**rows[one.kind], "kept_for": _kept(one, freed)} for one in found})
        return
    going = "could go" if yes else "can go"
    table = console.table("", "", "holds", going, "", right=("holds", going))
    for one in found:
        said = "freed" if one in freed else one.note
        table.add_row(one.kind, one.what, _shown(one.size), _shown(sizes[one.kind]), said)
    console.show(table)
    if kept := [name for one in found for name in _kept(one, freed)]:
        print(f"Kept, as a run that broke off goes on from it: {', '.join(kept)}.")
    if yes:
        size = sum(sizes[one.kind] for one in freed)
        print(f"Freed {_shown(size)}." if size else "There was nothing to free.")
    elif any(one.free and one.kind not in ASKED for one in found):
        print("`thicket clean --yes` frees what nothing needs, `thicket clean KIND --yes` just this kind.")


def _running(root: Path) -> str:
    """What runs, for a message; empty: nothing."""
    locks = held()
    made = [path.stem for path in (root / RESUME).glob("*.lock") if path != root / REPRO and is_locked(path, locks)]
    return repro_words(root) or (f"{made[0]} is being made" if made else "")


def _cache(root: Path) -> Held:
    what, folder = "DVC's: files of no commit can go", root / CACHE
    if cache.is_elsewhere(root):
        return Held("cache", what, 0, note="it lies elsewhere and may be shared: `dvc gc` frees it")
    return Held("cache", what, _size(folder), cache.unused(root))


def _earlier(root: Path) -> Held:
    """What going back to a commit within a branch wants."""
    what = "of it, of commits that no branch, tag or experiment ends at"
    if cache.is_elsewhere(root):
        return Held("earlier", what, 0)
    nobodys = set(cache.unused(root))
    free = [path for path in cache.unused(root, named=True) if path not in nobodys]
    return Held("earlier", what, sum(map(_size, free)), free, "by name: `thicket clean earlier --yes`" if free else "")


def _checkpoints(root: Path) -> Held:
    """Resume folders, of which each goes when its stage has succeeded, and what broken-off runs were writing."""
    stopped = _stopped_runs(root)
    folders = [path for path in _resume_folders(root) if path not in stopped]
    partial = [path for path in (root / "build").glob("*/.*.partial") if path.is_dir()]
    stages: list[Any] = [planned.resolved.stage for planned in _declared(root)]
    needed = {resume_folder(root, stage): stage.id for stage in stages}
    free, kept = [path for path in folders if path not in needed], [needed[one] for one in folders if one in needed]
    size = sum(map(_size, [*folders, *partial]))
    return Held("checkpoints", "of the pipeline's stages that broke off", size, free + partial, kept=kept)


def _stopped(root: Path) -> Held:
    """Of runs whose own folder has no artifact yet."""
    what, folders = "of runs of `thicket STAGE` and sweeps that broke off", _stopped_runs(root)
    kept = [run.relative_to(root).as_posix() for run in folders.values()]
    note = "by name: `thicket clean stopped --yes`" if folders else ""
    return Held("stopped", what, sum(map(_size, folders)), [*folders], note, kept)


def _stopped_runs(root: Path) -> dict[Path, Path]:
    """Checkpoints → the run that goes on from them."""
    return {path: run for path in _resume_folders(root) if (run := unfinished(root, path))}


def _resume_folders(root: Path) -> list[Path]:
    own = (root / BANKS, root / SCORES)
    return sorted(path for path in (root / RESUME).glob("*") if path.is_dir() and path not in own)


def _kept(one: Held, freed: list[Held]) -> list[str]:
    return [] if one in freed and one.kind in ASKED else one.kept


def _declared(root: Path) -> list[Planned]:
    return pipeline(Project(root)) if (root / PARAMS).is_file() else []


def _by_name(kind: str, what: str, *places: Path) -> Callable[[Path], Held]:
    def look(root: Path) -> Held:
        there = [root / place for place in places if (root / place).is_dir()]
        note = f"by name: `thicket clean {kind} --yes`" if there else ""
        return Held(kind, what, sum(map(_size, there)), there, note)

    return look


LOOKS: dict[str, Callable[[Path], Held]] = {
    "cache": _cache,
    "earlier": _earlier,
    "checkpoints": _checkpoints,
    "stopped": _stopped,
    "scores": _by_name("scores", "of items, by content: what is scored again is looked up", SCORES, BANKS),
    "runs": _by_name("runs", "of `thicket STAGE` and sweeps: results, with no other copy", RUNS),
    "logs": _by_name("logs", "of the stages' last runs", LOGS),
}


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(file.lstat().st_size for file in path.rglob("*") if file.is_file())


def _shown(count: int) -> str:
    for unit, size in {"GiB": 2**30, "MiB": 2**20}.items():
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count / 2**10:.1f} KiB" if count else "—"
