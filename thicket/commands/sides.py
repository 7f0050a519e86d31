"""What `thicket compare` holds against each other: models by name or by folder, one or several on each side."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import cached_property
from glob import has_magic
from pathlib import Path
from typing import Any, TypeVar

from thicket.commands.models import scores_outdated
from thicket.commands.revisions import Revision, is_of_revision
from thicket.config.layers import Path_, leaves
from thicket.config.overrides import COMMAND_LINE
from thicket.config.places import EVALUATION, MODELS
from thicket.config.problems import ConfigError, Problem, nearest, shown
from thicket.config.resolve import Resolved
from thicket.plan.folders import (
    declared_name,
    evaluation_of,
    is_folder,
    model_folder,
    name_of,
    provenance_of,
    run_named,
    within,
)
from thicket.plan.pipeline import hashed
from thicket.plan.sweeps import Sweep, SweepRun, is_sweep, model_folders, read_ended
from thicket.stages.run import on_its_own

Key = TypeVar("Key")
LONGEST_LABEL = 40
"""Characters; a longer list of models is named by its first."""


@dataclass(frozen=True)
class Member:
    """A model."""

    name: str
    """Of params.yaml, or that of a run."""
    given: str
    """What a command takes for it: its name, or its folder."""
    seed: int | None
    """What fixed everything random in its making; None where nobody says."""
    made_with: dict[str, Any]
    """The config that it was made with; of one that is not made, that of now; empty where nobody says."""
    scores: Path
    """Where its scores are, once it is evaluated."""
    stage: str = ""
    """The stage of the pipeline that makes it; empty where none does."""
    outdated: bool = False
    """Whether its scores are of other weights."""
    revision: str = ""
    """The commit that has it; empty: it is in the working tree."""
    provenance: dict[str, Any] = field(default_factory=dict)
    """How it was made; empty where nobody says."""

    @property
    def own_name(self) -> str:
        """Its name, without the commit that has it."""
        return self.name.removeprefix(f"{self.revision}:")

    @cached_property
    def config(self) -> dict[Path_, Any]:
        """Every value of the config, by its path, its code left out."""
        return dict(leaves({key: value for key, value in self.made_with.items() if key != "code"}))

    @property
    def code(self) -> dict[str, str]:
        """Module → hash of its source."""
        return self.made_with.get("code", {})

    @property
    def cost(self) -> float | None:
        """FLOPs of its training and of all that it rests on, bases left out; None where nobody says."""
        cost = self.provenance.get("cost")
        return None if cost is None else sum(cost.values())


@dataclass(frozen=True)
class Side:
    """Models that stand for one: seeds of a method, say."""

    label: str
    members: tuple[Member, ...]
    given: str = ""
    """What the command line says."""
    lacking: int = 0
    """Runs of its sweep that made no model, or whose model is gone."""
    unmade: int = 0
    """Runs of its sweep that have not ended."""
    same: dict[str, str] = field(default_factory=dict)
    """Models that were left out → the one of its members whose weights they have."""

    @property
    def outdated(self) -> bool:
        """Whether scores of its models are of other weights."""
        return any(member.outdated for member in self.members)

    @property
    def gone(self) -> bool:
        """Whether nothing is there of the models whose scores are of other weights."""
        return not any(member.provenance for member in self.members if member.outdated)

    @cached_property
    def config(self) -> dict[Path_, Any]:
        """The values that all its models have."""
        return self.shared(lambda member: member.config)

    def shared(self, of: Callable[[Member], dict[Key, Any]]) -> dict[Key, Any]:
        """The entries that all its models have."""
        first, *others = map(of, self.members)
        return {key: value for key, value in first.items() if all(key in o and o[key] == value for o in others)}


def _label(text: str, members: Sequence[Member]) -> str:
    """The names, or the part of a path that is a pattern."""
    pattern = next((part for part in text.split("/") if has_magic(part)), "")
    label = pattern or ",".join(member.name for member in members)
    return label if len(label) <= LONGEST_LABEL else f"{members[0].name} and {len(members) - 1} more"


def _not_made(sweep: Sweep, left: Sequence[str]) -> Iterator[str]:
    """What is to be said of a sweep of which not all runs have ended; `left`: the ways of which none has."""
    if unmade := sum(not one.ended for one in sweep.runs):
        of = f", so that nothing is compared of {'; '.join(left)}" if left else ""
        count = f"{unmade} of the {len(sweep.runs)} runs of {sweep.folder} {'is' if unmade == 1 else 'are'} not made"
        yield f"{count}{of}: `thicket show {sweep.folder}` says how far they are."


def declared_member(root: Path, resolved: Resolved) -> Member:
    """A model of the project, by what its folder says where it is made: params.yaml may say something else since."""
    name, scores = resolved.stage.name, root / EVALUATION / resolved.stage.name
    outdated, made = scores_outdated(root, name), provenance_of(root, str(MODELS / name))
    made_with = made["config"] if made else resolved.stage.model_dump(mode="json")
    seed = made.get("seed", resolved.stage.seed)
    return Member(name, name, seed, made_with, scores, resolved.id, outdated, provenance=made)


class Sides:
    """Reads what the command line names."""

    def __init__(self, root: Path, models: dict[str, Resolved], stages: list[Resolved], scratch: Path):
        """`scratch`: where files of other commits are laid out."""
        self.root, self.models, self.stages, self.scratch = root, models, stages, scratch
        self.notes: list[str] = []
        """What is to be said of sweeps of which not all runs have ended."""
        self.left: list[str] = []
        """Of these, what is said of those of which ways have no model yet."""

    def read(self, texts: list[str]) -> list[Side]:
        """The sides, of which a sweep's folder makes several. Raises: ConfigError where there are not two."""
        sides = [side for text in texts for side in self._read(text)]
        if len(sides) < 2:
            other = "name another model, or a sweep that varies more than the seed"
            wrong = f"nothing to compare it with{' yet' if self.left else ''}: {' '.join(self.left) or other}"
            wrong = wrong.removesuffix(".")
            raise ConfigError([Problem(COMMAND_LINE, "compare", shown(self._own(texts[0])), wrong)])
        labels = [side.label for side in sides]
        if len(set(labels)) == len(labels):
            return sides
        return [replace(side, label=f"{number}: {side.label}") for number, side in enumerate(sides, start=1)]

    def _own(self, text: str) -> str:
        """What the command line says, folders relative to the project where they lie in it."""
        return ",".join(within(self.root, Path(part)) if is_folder(part) else part for part in text.split(","))

    def _read(self, text: str) -> Iterator[Side]:
        text = self._own(text)
        if is_folder(text) and is_sweep(self.root / text):
            yield from self._of_sweep(read_ended(self.root, self.root / text))
            return
        members = tuple({member.scores: member for member in self._members(text.split(","))}.values())
        yield Side(_label(text, members), members, text)

    def _of_sweep(self, sweep: Sweep) -> Iterator[Side]:
        """One for each way in which its runs differ, the seed aside; of those without a model yet, none."""
        groups: dict[tuple[str, ...], list[SweepRun]] = {}
        for one in sweep.runs:
            groups.setdefault(one.run.setting, []).append(one)
        common, left = set.intersection(*map(set, groups)), list[str]()
        for overrides, runs in groups.items():
            label = " ".join(o for o in overrides if o not in common)
            if len(groups) == 1 and len(runs) > 1 and len(whole := " ".join(overrides)) <= LONGEST_LABEL:
                label = whole
            side = self._of_runs(label, runs, sweep.folder.as_posix())
            if side.members:
                yield side
            else:
                left.append(side.label)
        notes = list(_not_made(sweep, left))
        self.notes += notes
        self.left += notes if left else []

    def _of_runs(self, label: str, runs: list[SweepRun], given: str) -> Side:
        """Runs of a sweep that differ in the seed alone. Raises: ConfigError where none of them will have a model."""
        lacking, unmade = sum(bool(one.run.error) for one in runs), sum(not one.ended for one in runs)
        if lacking == len(runs):
            wrong = f"{label or 'a sweep'}: none of its runs has a model"
            raise ConfigError([Problem(COMMAND_LINE, "compare", shown(given), wrong)])
        folders = dict.fromkeys(one.run.artifact for one in runs if one.ended and not one.run.error)
        members = tuple(self.of_folder(model_folder(self.root, folder)) for folder in folders)
        return Side(label or (_label("", members) if members else given), members, given, lacking, unmade)

    def _members(self, texts: Iterable[str]) -> Iterator[Member]:
        for text in texts:
            if is_of_revision(text):
                name, _, pattern = text.rpartition(":")
                revision = Revision(self.root, name)
                yield from (self._of_revision(revision, model) for model in revision.models(pattern))
                continue
            if is_folder(text):
                for folder in model_folders(self.root, text):
                    yield self.of_folder(folder)
                continue
            found = [name for name in self.models if fnmatchcase(name, text)] if has_magic(text) else [text]
            if not found or found[0] not in self.models:
                wrong, known = "there is no such model", list(self.models)
                close = run_named(self.root, text) or nearest(text, known)
                raise ConfigError([Problem(COMMAND_LINE, "model", shown(text), wrong, ", ".join(known), close)])
            yield from (declared_member(self.root, self.models[name]) for name in found)

    def of_folder(self, folder: str) -> Member:
        """The model of a folder, be it made yet or not."""
        if (name := declared_name(self.root, folder)) in self.models:
            return declared_member(self.root, self.models[name])
        made = provenance_of(self.root, folder)
        stage: Any = hashed(evaluation_of(self.root, folder, self.stages).stage)
        name, scores = name_of(self.root, folder), on_its_own(self.root, stage).artifact
        return Member(name, folder, made.get("seed"), made.get("config", {}), scores, provenance=made)

    def _of_revision(self, revision: Revision, model: str) -> Member:
        given, config = f"{revision.name}:{model}", revision.config(model)
        scores, outdated = revision.scores(model, self.scratch), revision.outdated(model)
        known = {"revision": revision.name, "provenance": revision.provenance(model)}
        return Member(given, given, config.get("seed"), config, scores, "", outdated, **known)
